package lumos

import (
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"time"
)

// paramsKept is the largest parameter buffer that a connection keeps, in bytes.
const paramsKept = 1 << 20

// CheckNamedValue takes what database/sql takes, and *big.Int, uint64 above the largest int64 and
// time.Duration (an interval where one is wanted, else nanoseconds).
func (c *conn) CheckNamedValue(arg *driver.NamedValue) error {
	switch value := arg.Value.(type) {
	case int64, float64, bool, string, []byte, time.Time, time.Duration, nil:
		return nil
	case *big.Int:
		if value == nil {
			arg.Value = nil
		} else {
			arg.Value = value.String()
		}
		return nil
	case big.Int:
		arg.Value = value.String()
		return nil
	case uint64:
		if value > math.MaxInt64 {
			arg.Value = strconv.FormatUint(value, 10)
			return nil
		}
	case uint:
		if uint64(value) > math.MaxInt64 {
			arg.Value = strconv.FormatUint(uint64(value), 10)
			return nil
		}
	}
	value, err := driver.DefaultParameterConverter.ConvertValue(arg.Value)
	if err != nil {
		return err
	}
	arg.Value = value
	return nil
}

// pack writes the arguments into the connection's parameter buffer: count, then for each the type's OID,
// length and binary value. OID 0 is an untyped literal, as text.
func (c *conn) pack(p *prepared, args []driver.NamedValue) ([]byte, error) {
	if len(args) != len(p.paramTypes) {
		return nil, refuse("08P01", fmt.Sprintf("the statement has %d parameters, %d arguments were given", len(p.paramTypes), len(args)))
	}
	if cap(c.params) > paramsKept {
		c.params = nil
	}
	out := binary.BigEndian.AppendUint16(c.params[:0], uint16(len(args)))
	for position, paramType := range p.paramTypes {
		arg, err := p.argument(args, position)
		if err != nil {
			return nil, err
		}
		if out, err = appendParam(out, arg, paramType); err != nil {
			return nil, fmt.Errorf("lumos: argument %d: %w", position+1, err)
		}
	}
	c.params = out
	return out, nil
}

// argument finds the value of a parameter: by its name where arguments are named, else by its position.
func (p *prepared) argument(args []driver.NamedValue, position int) (driver.Value, error) {
	arg := &args[position]
	if arg.Name == "" {
		return arg.Value, nil
	}
	if p.paramNames != nil {
		for i := range args {
			if args[i].Name == p.paramNames[position] {
				return args[i].Value, nil
			}
		}
	}
	return nil, refuse(codeUndefinedParameter, fmt.Sprintf("the statement has no parameter :%s", arg.Name))
}

func appendHead(out []byte, oid uint32, length int) []byte {
	out = binary.BigEndian.AppendUint32(out, oid)
	return binary.BigEndian.AppendUint32(out, uint32(int32(length)))
}

func appendText(out []byte, oid uint32, text string) ([]byte, error) {
	if len(text) > math.MaxInt32 {
		return nil, refuse(codeProgramLimitExceeded, "the value is longer than 2 GiB")
	}
	return append(appendHead(out, oid, len(text)), text...), nil
}

func isText(oid uint32) bool { return oid == oidText || oid == oidVarchar || oid == oidBPChar }

func appendParam(out []byte, value driver.Value, oid uint32) ([]byte, error) {
	switch value := value.(type) {
	case nil:
		return appendHead(out, oid, -1), nil
	case int64:
		return appendInt(out, value, oid)
	case string:
		return appendText(out, oidUnknown, value)
	case float64:
		switch {
		case oid == oidFloat4 && (float64(float32(value)) == value || value != value):
			return binary.BigEndian.AppendUint32(appendHead(out, oid, 4), math.Float32bits(float32(value))), nil
		case oid == oidNumeric || isText(oid):
			return appendText(out, oidUnknown, strconv.FormatFloat(value, 'g', -1, 64))
		}
		return binary.BigEndian.AppendUint64(appendHead(out, oidFloat8, 8), math.Float64bits(value)), nil
	case bool:
		if isText(oid) {
			return appendText(out, oidUnknown, strconv.FormatBool(value))
		}
		out = appendHead(out, oidBool, 1)
		if value {
			return append(out, 1), nil
		}
		return append(out, 0), nil
	case []byte:
		if value == nil {
			return appendHead(out, oid, -1), nil
		}
		if len(value) > math.MaxInt32 {
			return nil, refuse(codeProgramLimitExceeded, "the value is longer than 2 GiB")
		}
		// Bytes for anything but bytea are its text.
		if oid == oidBytea || oid == oidUnknown {
			return append(appendHead(out, oidBytea, len(value)), value...), nil
		}
		return append(appendHead(out, oidUnknown, len(value)), value...), nil
	case time.Time:
		return appendTime(out, value, oid)
	case time.Duration:
		if oid != oidInterval {
			return appendInt(out, int64(value), oid)
		}
		out = appendHead(out, oidInterval, 16)
		out = binary.BigEndian.AppendUint64(out, uint64(value.Round(time.Microsecond).Microseconds()))
		return binary.BigEndian.AppendUint64(out, 0), nil
	}
	return nil, fmt.Errorf("the type %T has no SQL type", value)
}

func appendInt(out []byte, value int64, oid uint32) ([]byte, error) {
	switch {
	case oid == oidInt4 && int64(int32(value)) == value:
		return binary.BigEndian.AppendUint32(appendHead(out, oid, 4), uint32(value)), nil
	case oid == oidInt2 && int64(int16(value)) == value:
		return binary.BigEndian.AppendUint16(appendHead(out, oid, 2), uint16(value)), nil
	case isText(oid):
		return appendText(out, oidUnknown, strconv.FormatInt(value, 10))
	}
	return binary.BigEndian.AppendUint64(appendHead(out, oidInt8, 8), uint64(value)), nil
}

// appendTime writes the instant for timestamptz, and what the clock on the wall shows for timestamp and date.
func appendTime(out []byte, value time.Time, oid uint32) ([]byte, error) {
	if year := value.Year(); year < -4713 || year > 294276 {
		return nil, refuse(codeDatetimeOverflow, "timestamp out of range")
	}
	wall := func() time.Time {
		year, month, day := value.Date()
		hour, minute, second := value.Clock()
		return time.Date(year, month, day, hour, minute, second, value.Nanosecond(), time.UTC)
	}
	// PostgreSQL keeps microseconds; the nearest is taken, as it does with text.
	micros := func(t time.Time) uint64 {
		return uint64(t.Unix()*1_000_000 + int64(t.Nanosecond()+500)/1000 - epochMicros)
	}
	switch {
	case oid == oidDate:
		year, month, day := value.Date()
		days := time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix()/86400 - epochDays
		if seconds := time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix(); seconds < 0 && seconds%86400 != 0 {
			days--
		}
		return binary.BigEndian.AppendUint32(appendHead(out, oidDate, 4), uint32(int32(days))), nil
	case oid == oidTimestamp:
		return binary.BigEndian.AppendUint64(appendHead(out, oidTimestamp, 8), micros(wall())), nil
	case isText(oid):
		return appendText(out, oidUnknown, value.Format("2006-01-02 15:04:05.999999Z07:00"))
	}
	return binary.BigEndian.AppendUint64(appendHead(out, oidTimestampTZ, 8), micros(value)), nil
}
