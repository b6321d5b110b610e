package lumos

import (
	"encoding/binary"
	"math"
	"testing"
	"time"
)

func TestIntervalsAreWrittenAsPostgreSQLDoes(t *testing.T) {
	const second, minute, hour = 1_000_000, 60_000_000, 3_600_000_000
	cases := []struct {
		months, days int32
		micros       int64
		want         string
	}{
		{0, 0, 0, "00:00:00"},
		{14, 3, 4*hour + 5*minute + 6*second + 700_000, "1 year 2 mons 3 days 04:05:06.7"},
		{-13, 0, 0, "-1 years -1 mons"},
		{-1, 2, 0, "-1 mons +2 days"},
		{0, 1, -1, "1 day -00:00:00.000001"},
		{0, -1, 1, "-1 days +00:00:00.000001"},
		{0, 0, 100 * hour, "100:00:00"},
		{12, 0, 0, "1 year"},
		{0, 0, math.MinInt64, "-2562047788:00:54.775808"},
	}
	for _, c := range cases {
		if got := intervalText(c.months, c.days, c.micros); got != c.want {
			t.Errorf("%v: %q, want %q", c, got, c.want)
		}
	}
}

func TestNumericsAreWrittenWithTheirScale(t *testing.T) {
	pack := func(weight int16, sign, scale uint16, groups ...uint16) []byte {
		out := binary.BigEndian.AppendUint16(nil, uint16(len(groups)))
		out = binary.BigEndian.AppendUint16(out, uint16(weight))
		out = binary.BigEndian.AppendUint16(out, sign)
		out = binary.BigEndian.AppendUint16(out, scale)
		for _, group := range groups {
			out = binary.BigEndian.AppendUint16(out, group)
		}
		return out
	}
	cases := map[string][]byte{
		"-12345.678":  pack(1, 0x4000, 3, 1, 2345, 6780),
		"0":           pack(0, 0, 0),
		"0.00":        pack(0, 0, 2),
		"0.00001":     pack(-2, 0, 5, 1000),
		"100000000":   pack(2, 0, 0, 1),
		"10000.5":     pack(1, 0, 1, 1, 0, 5000),
		"NaN":         pack(0, 0xC000, 0),
		"-Infinity":   pack(0, 0xF000, 0),
		"1.000000000": pack(0, 0, 9, 1),
	}
	for want, packed := range cases {
		if got, ok := numericText(packed); !ok || got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for _, broken := range [][]byte{nil, {0, 1, 0, 0, 0, 0, 0, 0}, {255, 255, 0, 0, 0, 0, 0, 0}} {
		if _, ok := numericText(broken); ok {
			t.Errorf("%v was taken for a numeric", broken)
		}
	}
}

func TestTheEndsOfTimeDoNotOverflow(t *testing.T) {
	for _, micros := range []int64{math.MaxInt64 - 1, math.MinInt64 + 1, -1, 0} {
		at := timestampOf(micros).(time.Time)
		if got := at.Unix()*1_000_000 - epochMicros; micros == 0 && got != 0 {
			t.Error(got)
		}
		if at.Nanosecond()%1000 != 0 {
			t.Error(at)
		}
	}
	if year := timestampOf(math.MaxInt64 - 1).(time.Time).Year(); year != 294277 {
		t.Error(year)
	}
}

func TestTheCacheKeepsItsOrderAndBusyStatementsToThemselves(t *testing.T) {
	var s statements
	a, b, c := &prepared{text: "a"}, &prepared{text: "b"}, &prepared{text: "c"}
	for _, p := range []*prepared{a, b, c} {
		s.add(p)
	}
	if s.find("a") != a || s.newest != a || s.oldest != b {
		t.Fatal("a found statement is the newest")
	}
	b.busy = true
	if s.find("b") != nil {
		t.Fatal("a busy statement was given out twice")
	}
	if s.find("d") != nil {
		t.Fatal("an unknown text was found")
	}
}
