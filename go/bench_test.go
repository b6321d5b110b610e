package lumos_test

import (
	"context"
	"testing"
)

func BenchmarkPointQuery(b *testing.B) {
	db := memory(b)
	fill(b, db, 10_000)
	ctx := context.Background()
	lent, err := db.Conn(ctx)
	if err != nil {
		b.Fatal(err)
	}
	defer lent.Close()
	cancellable, cancel := context.WithCancel(ctx)
	defer cancel()
	for name, ctx := range map[string]context.Context{"plain": ctx, "cancellable": cancellable} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				var pad string
				if err := lent.QueryRowContext(ctx, "SELECT pad FROM big WHERE id = $1", i%10_000).Scan(&pad); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkUpdate(b *testing.B) {
	db := memory(b)
	fill(b, db, 10_000)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if _, err := db.Exec("UPDATE big SET pad = $1 WHERE id = $2", "changed", i%10_000); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	db := memory(b)
	fill(b, db, 10_000)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		rows, err := db.Query("SELECT id, pad FROM big")
		if err != nil {
			b.Fatal(err)
		}
		for rows.Next() {
			var id int64
			var pad string
			if err := rows.Scan(&id, &pad); err != nil {
				b.Fatal(err)
			}
		}
		if err := rows.Err(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/row")
}
