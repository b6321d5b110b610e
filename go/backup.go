package lumos

import (
	"context"
	"database/sql"

	"github.com/lumos-db/lumos/go/internal/capi"
)

// backupPages is how many pages are copied between two looks at the context.
const backupPages = 256

// Backup copies what is committed now to the new file path, while others read and write. The file is written beside its
// place and takes its name when it is whole and durable; an error, or ctx, leaves nothing. To restore is to open it.
// progress, if not nil, is called between steps with about how many pages are copied and how many there are.
//
// No connection of the pool is held meanwhile. A path that exists is refused with 42710.
func Backup(ctx context.Context, db *sql.DB, path string, progress func(done, total uint64)) error {
	var backup capi.BackupHandle
	err := withDB(ctx, db, func(_ *conn, handle capi.DB) error {
		started, status, failure, err := capi.BackupStart(handle, path)
		if err != nil {
			return err
		}
		if status < 0 {
			return take(failure, status)
		}
		backup = started
		return nil
	})
	if err != nil {
		return err
	}
	defer capi.BackupFinish(backup)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		remaining, total, status, failure := capi.BackupStep(backup, backupPages)
		if status < 0 {
			return take(failure, status)
		}
		if progress != nil {
			progress(total-min(remaining, total), total)
		}
		if status == capi.Done {
			return nil
		}
	}
}

// Serialize gives what is committed now, the whole database, as the bytes of a file, while others read and write. It
// fails with 53200 when they do not fit into memory_limit.
func Serialize(ctx context.Context, db *sql.DB) ([]byte, error) {
	var image []byte
	err := withDB(ctx, db, func(_ *conn, handle capi.DB) error {
		bytes, status, failure := capi.Serialize(handle)
		if status < 0 {
			return take(failure, status)
		}
		image = bytes
		return nil
	})
	return image, err
}

// NewConnectorOf gives a connector to a database in memory that begins as image: what Serialize gave, or the content of a
// database file that was closed. The options are those of a data source name: "memory_limit=256MB&read_only=on". The
// image is not to be changed before the first connection is open.
func NewConnectorOf(image []byte, options string) (*Connector, error) {
	connector, err := NewConnector(":memory:?" + options)
	if err != nil {
		return nil, err
	}
	// Not nil, so that an empty one is refused and not taken for none.
	connector.image = append(make([]byte, 0, 1), image...)
	return connector, nil
}
