package lumos

import (
	"context"
	"database/sql/driver"
	"strings"

	"github.com/lumos-db/lumos/go/internal/capi"
)

// Error is what the database answers when it refuses something. Its fields are PostgreSQL's.
type Error struct {
	// Code is the SQLSTATE, five characters.
	Code string
	// Severity is ERROR, FATAL or PANIC.
	Severity string
	// Message is the primary text.
	Message string
	// Detail says more; often empty.
	Detail string
	// Hint says what to do; often empty.
	Hint string
	// Position is where in the SQL text it went wrong, in bytes from 1; 0: nowhere in particular.
	Position int
	// Context is the place in the data of COPY; often empty.
	Context string
	// SchemaName, TableName, ColumnName, DataTypeName and ConstraintName name what the error is about.
	SchemaName     string
	TableName      string
	ColumnName     string
	DataTypeName   string
	ConstraintName string

	cause error
	// The call did nothing: its connection or its transaction had been ended before.
	unstarted bool
}

// Error gives the message with its SQLSTATE.
func (e *Error) Error() string {
	var text strings.Builder
	text.WriteString("lumos: ")
	text.WriteString(e.Message)
	if e.Detail != "" {
		text.WriteString(": ")
		text.WriteString(e.Detail)
	}
	text.WriteString(" (SQLSTATE ")
	text.WriteString(e.Code)
	text.WriteString(")")
	return text.String()
}

// SQLState is the five-character code, as many Go libraries ask for it.
func (e *Error) SQLState() string { return e.Code }

// Unwrap gives context.Canceled or context.DeadlineExceeded where the context's end stopped the statement.
func (e *Error) Unwrap() error { return e.cause }

// Is makes an error whose call did nothing a driver.ErrBadConn for errors.Is: the connection was terminated (57P01) before the
// call, or its transaction had been ended by a timeout (25P03, 25P04). database/sql then takes the connection out of the pool,
// and a statement or BeginTx of a *sql.DB is run on another one. A statement that was stopped while it ran is never run again.
func (e *Error) Is(target error) bool { return e.unstarted && target == driver.ErrBadConn }

// SQLSTATEs that the driver itself knows.
const (
	codeQueryCanceled        = "57014"
	codeSerializationFailure = "40001"
	codeDeadlockDetected     = "40P01"
	codeFeatureNotSupported  = "0A000"
	codeSyntaxError          = "42601"
	codeUndefinedParameter   = "42P02"
	codeDatetimeOverflow     = "22008"
	codeProgramLimitExceeded = "54000"
	codeAdminShutdown        = "57P01"
	codeNoConnection         = "08003"
)

// take reads and frees the library's error object.
func take(handle capi.Err, status capi.Status) *Error {
	failure := capi.TakeError(handle, status)
	return &Error{
		Code:           failure.Code,
		Severity:       failure.Severity,
		Message:        failure.Message,
		Detail:         failure.Detail,
		Hint:           failure.Hint,
		Position:       int(failure.Position) + 1,
		Context:        failure.Context,
		SchemaName:     failure.Schema,
		TableName:      failure.Table,
		ColumnName:     failure.Column,
		DataTypeName:   failure.DataType,
		ConstraintName: failure.Constraint,
		unstarted:      failure.Unstarted,
	}
}

// because names the context as the cause of a cancelled statement.
func (e *Error) because(ctx context.Context) *Error {
	if e.Code == codeQueryCanceled && ctx != nil {
		e.cause = ctx.Err()
	}
	return e
}

func refuse(code, message string) *Error {
	return &Error{Code: code, Severity: "ERROR", Message: message}
}
