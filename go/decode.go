package lumos

import (
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"time"
)

// decode makes a Go value of a packed one. Bytes of a bytea stay in the buffer: database/sql copies them.
func decode(value []byte, oid uint32) (driver.Value, error) {
	switch oid {
	case oidInt8:
		if len(value) == 8 {
			return int64(binary.BigEndian.Uint64(value)), nil
		}
	case oidInt4:
		if len(value) == 4 {
			return int64(int32(binary.BigEndian.Uint32(value))), nil
		}
	case oidInt2:
		if len(value) == 2 {
			return int64(int16(binary.BigEndian.Uint16(value))), nil
		}
	case oidFloat8:
		if len(value) == 8 {
			return math.Float64frombits(binary.BigEndian.Uint64(value)), nil
		}
	case oidFloat4:
		if len(value) == 4 {
			return float64(math.Float32frombits(binary.BigEndian.Uint32(value))), nil
		}
	case oidBool:
		if len(value) == 1 {
			return value[0] != 0, nil
		}
	case oidBytea:
		return value, nil
	case oidNumeric:
		if text, ok := numericText(value); ok {
			return text, nil
		}
	case oidDate:
		if len(value) == 4 {
			return dateOf(int32(binary.BigEndian.Uint32(value))), nil
		}
	case oidTimestamp, oidTimestampTZ:
		if len(value) == 8 {
			return timestampOf(int64(binary.BigEndian.Uint64(value))), nil
		}
	case oidInterval:
		if len(value) == 16 {
			return intervalText(int32(binary.BigEndian.Uint32(value[12:])), int32(binary.BigEndian.Uint32(value[8:])),
				int64(binary.BigEndian.Uint64(value))), nil
		}
	default:
		return string(value), nil
	}
	return nil, fmt.Errorf("lumos: %d bytes are no value of type %s", len(value), typeName(oid))
}

// dateOf gives midnight UTC; "infinity" and "-infinity" have no time.Time and stay text.
func dateOf(days int32) driver.Value {
	switch days {
	case math.MaxInt32:
		return "infinity"
	case math.MinInt32:
		return "-infinity"
	}
	return time.Unix((int64(days)+epochDays)*86400, 0).UTC()
}

// timestampOf gives the time in UTC; infinities stay text.
func timestampOf(micros int64) driver.Value {
	switch micros {
	case math.MaxInt64:
		return "infinity"
	case math.MinInt64:
		return "-infinity"
	}
	// The epochs are put together after the division: near its ends the sum overflows.
	seconds, rest := micros/1_000_000, micros%1_000_000
	return time.Unix(seconds+epochMicros/1_000_000, rest*1000).UTC()
}

// numericText writes a numeric as PostgreSQL does: all its digits, as many after the point as its scale says.
func numericText(value []byte) (string, bool) {
	if len(value) < 8 {
		return "", false
	}
	count := int(int16(binary.BigEndian.Uint16(value)))
	weight := int(int16(binary.BigEndian.Uint16(value[2:])))
	sign := binary.BigEndian.Uint16(value[4:])
	scale := int(binary.BigEndian.Uint16(value[6:]))
	groups := value[8:]
	switch sign {
	case 0xC000:
		return "NaN", true
	case 0xD000:
		return "Infinity", true
	case 0xF000:
		return "-Infinity", true
	}
	if count < 0 || len(groups) != 2*count {
		return "", false
	}
	group := func(index int) uint16 {
		if index < 0 || index >= count {
			return 0
		}
		return binary.BigEndian.Uint16(groups[2*index:])
	}
	var room [64]byte
	out := room[:0]
	if sign == 0x4000 {
		out = append(out, '-')
	}
	if weight < 0 {
		out = append(out, '0')
	} else {
		out = strconv.AppendUint(out, uint64(group(0)), 10)
		for i := 1; i <= weight; i++ {
			out = appendGroup(out, group(i), 4)
		}
	}
	if scale > 0 {
		out = append(out, '.')
		for i := weight + 1; scale > 0; i++ {
			digits := min(scale, 4)
			out = appendGroup(out, group(i), digits)
			scale -= digits
		}
	}
	return string(out), true
}

// appendGroup writes the first digits of a group of four.
func appendGroup(out []byte, group uint16, digits int) []byte {
	four := [4]byte{byte('0' + group/1000), byte('0' + group/100%10), byte('0' + group/10%10), byte('0' + group%10)}
	return append(out, four[:digits]...)
}

// intervalText writes an interval in PostgreSQL's own style: "1 year 2 mons 3 days 04:05:06.7".
func intervalText(months, days int32, micros int64) string {
	var room [64]byte
	out := room[:0]
	negativeBefore := false
	unit := func(number int64, name string) {
		if number == 0 {
			return
		}
		if len(out) > 0 {
			out = append(out, ' ')
		}
		// After a negative part a positive one shows its sign.
		if negativeBefore && number > 0 {
			out = append(out, '+')
		}
		out = strconv.AppendInt(out, number, 10)
		out = append(out, ' ')
		out = append(out, name...)
		if number != 1 {
			out = append(out, 's')
		}
		negativeBefore = number < 0
	}
	unit(int64(months/12), "year")
	unit(int64(months%12), "mon")
	unit(int64(days), "day")
	if micros == 0 && len(out) > 0 {
		return string(out)
	}
	if len(out) > 0 {
		out = append(out, ' ')
	}
	// The smallest int64 has no positive counterpart, its uint64 has.
	size := uint64(micros)
	if micros < 0 {
		out = append(out, '-')
		size = -size
	} else if negativeBefore {
		out = append(out, '+')
	}
	const second, minute, hour = 1_000_000, 60_000_000, 3_600_000_000
	two := func(number uint64) {
		if number < 10 {
			out = append(out, '0')
		}
		out = strconv.AppendUint(out, number, 10)
	}
	two(size / hour)
	out = append(out, ':')
	two(size % hour / minute)
	out = append(out, ':')
	two(size % minute / second)
	if fraction := size % second; fraction > 0 {
		digits := strconv.AppendUint(nil, second+fraction, 10)[1:]
		for digits[len(digits)-1] == '0' {
			digits = digits[:len(digits)-1]
		}
		out = append(out, '.')
		out = append(out, digits...)
	}
	return string(out)
}
