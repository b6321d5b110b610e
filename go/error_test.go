package lumos_test

import (
	"testing"
)

func TestErrorsCarryPostgreSQLsFields(t *testing.T) {
	db := memory(t)
	exec(t, db, "CREATE TABLE person (id int CONSTRAINT person_key PRIMARY KEY, name text NOT NULL, age int CONSTRAINT grown CHECK (age >= 18))")
	exec(t, db, "INSERT INTO person VALUES (1, 'Ada', 36)")

	_, err := db.Exec("INSERT INTO person VALUES ($1, $2, $3)", 1, "Bob", 20)
	failure := wantCode(t, err, "23505")
	if failure.ConstraintName != "person_key" || failure.TableName != "person" || failure.SchemaName != "public" {
		t.Errorf("%+v", failure)
	}
	if failure.Message != `duplicate key value violates unique constraint "person_key"` || failure.Detail != "Key (id)=(1) already exists." {
		t.Errorf("%+v", failure)
	}
	if failure.Severity != "ERROR" {
		t.Errorf("%+v", failure)
	}

	_, err = db.Exec("INSERT INTO person VALUES (2, NULL, 20)")
	if failure = wantCode(t, err, "23502"); failure.ColumnName != "name" || failure.TableName != "person" {
		t.Errorf("%+v", failure)
	}

	_, err = db.Exec("INSERT INTO person VALUES (2, 'Cy', 3)")
	if failure = wantCode(t, err, "23514"); failure.ConstraintName != "grown" {
		t.Errorf("%+v", failure)
	}

	_, err = db.Query("SELECT nam FROM person")
	if failure = wantCode(t, err, "42703"); failure.Position != 8 {
		t.Errorf("%+v", failure)
	}
	_, err = db.Exec("SELECT 1; SELECT * FROM nowhere")
	if failure = wantCode(t, err, "42P01"); failure.Position != 25 {
		t.Errorf("%+v", failure)
	}
	_, err = db.Query("SELECT 1 +")
	wantCode(t, err, "42601")
	_, err = db.Query("SELECT 1 / $1::int", 0)
	wantCode(t, err, "22012")
}

func TestAnErrorInTheMiddleOfTheRows(t *testing.T) {
	db := memory(t)
	fill(t, db, 20_000)
	rows, err := db.Query("SELECT 1 / (id - 15000) FROM big")
	if err != nil {
		wantCode(t, err, "22012")
		return
	}
	defer rows.Close()
	for rows.Next() {
	}
	wantCode(t, rows.Err(), "22012")
}
