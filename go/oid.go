package lumos

// PostgreSQL's type OIDs, as they stand beside packed values.
const (
	oidUnknown     = 0
	oidBool        = 16
	oidBytea       = 17
	oidInt8        = 20
	oidInt2        = 21
	oidInt4        = 23
	oidText        = 25
	oidFloat4      = 700
	oidFloat8      = 701
	oidBPChar      = 1042
	oidVarchar     = 1043
	oidDate        = 1082
	oidTimestamp   = 1114
	oidTimestampTZ = 1184
	oidInterval    = 1186
	oidNumeric     = 1700
)

// 2000-01-01, from which PostgreSQL counts, since 1970-01-01.
const (
	epochDays   = 10957
	epochMicros = 946684800 * 1_000_000
)
