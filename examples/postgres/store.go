package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/livemigration/livemigration-go/durable"
)

// The row of livemigration_changes counts all changes. A change locks it until it is committed, so the counter grows in the
// order of the commits: whoever reads it sees the records of all changes so far. A sequence of PostgreSQL does not do that.
const schema = `DO $$ BEGIN
	PERFORM pg_advisory_xact_lock(hashtext('livemigration schema'));
	IF to_regclass('livemigration_records') IS NULL THEN
		CREATE TABLE livemigration_records (name text NOT NULL, revision bigint NOT NULL, record json NOT NULL);
		CREATE UNIQUE INDEX ON livemigration_records (lower(name));
		CREATE TABLE livemigration_changes (number bigint NOT NULL);
		INSERT INTO livemigration_changes VALUES (0);
	END IF;
END $$`

const (
	checkInterval = time.Second
	checkTimeout  = 10 * time.Second
)

// Store is a durable.Store and durable.Changer in PostgreSQL, for any number of processes. A run and a change of plans keep
// one connection each for their lock, so the pool must have at least three. The locks are those of sessions: a proxy that
// shares connections between transactions, such as PgBouncer in its transaction mode, breaks them.
type Store struct {
	db *sql.DB

	mu        sync.Mutex
	number    int64            // of the last change that revisions contains
	revisions map[string]int64 // by name in lower case
}

// OpenStore makes the tables where there are none.
func OpenStore(ctx context.Context, db *sql.DB) (*Store, error) {
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, fmt.Errorf("make the tables: %w", err)
	}
	return &Store{db: db, number: -1}, nil
}

// List returns all records.
func (s *Store) List(ctx context.Context) ([]durable.Record, error) {
	return s.records(ctx, `SELECT name, record FROM livemigration_records`)
}

// Load returns a record.
func (s *Store) Load(ctx context.Context, name string) (durable.Record, error) {
	records, err := s.records(ctx, `SELECT name, record FROM livemigration_records WHERE lower(name) = $1`, strings.ToLower(name))
	if err == nil && len(records) == 0 {
		err = fmt.Errorf("load %q: %w", name, durable.ErrNotFound)
	}
	if err != nil {
		return durable.Record{}, err
	}
	return records[0], nil
}

// records returns the records that can be read, and an error that names the others.
func (s *Store) records(ctx context.Context, query string, args ...any) (records []durable.Record, err error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var unreadable []error
	for rows.Next() {
		var name string
		var text []byte
		if err := rows.Scan(&name, &text); err != nil {
			return nil, err
		}
		var r durable.Record
		if err := r.UnmarshalJSON(text); err != nil {
			unreadable = append(unreadable, fmt.Errorf("the record %q cannot be read: %w", name, err))
			continue
		}
		records = append(records, r)
	}
	if err := rows.Err(); err != nil { // such as a connection that was lost between two rows
		return nil, err
	}
	return records, errors.Join(unreadable...)
}

// change makes a change in a transaction. Changes wait for each other, so there is no deadlock.
func (s *Store) change(ctx context.Context, do func(tx *sql.Tx, number int64) (sql.Result, error)) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	var number int64
	if err := tx.QueryRowContext(ctx, `UPDATE livemigration_changes SET number = number + 1 RETURNING number`).Scan(&number); err != nil {
		return err
	}
	result, err := do(tx, number)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(durable.ErrStale, err)
	}
	return tx.Commit()
}

// Save stores a record if its revision is the stored one. A new record starts with the number of the change: each revision
// before it was a change, too, and its number was smaller.
func (s *Store) Save(ctx context.Context, r durable.Record) (durable.Record, error) {
	if err := r.Validate(); err != nil {
		return r, err
	}
	saved := r
	err := s.change(ctx, func(tx *sql.Tx, number int64) (sql.Result, error) {
		query := `UPDATE livemigration_records SET revision = $2, record = $3 WHERE name = $1 AND revision = $2 - 1`
		saved.Revision = r.Revision + 1
		if r.Revision == 0 {
			query, saved.Revision = `INSERT INTO livemigration_records VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, number
		}
		text, err := saved.MarshalJSON()
		if err != nil {
			return nil, err
		}
		return tx.ExecContext(ctx, query, r.Plan.Name, saved.Revision, string(text))
	})
	if err != nil {
		return r, fmt.Errorf("save %q: %w", r.Plan.Name, err)
	}
	return saved, nil
}

// Delete deletes a record if its revision is the stored one.
func (s *Store) Delete(ctx context.Context, name string, revision int64) error {
	if _, err := s.Load(ctx, name); err != nil {
		return err
	}
	err := s.change(ctx, func(tx *sql.Tx, _ int64) (sql.Result, error) {
		const query = `DELETE FROM livemigration_records WHERE lower(name) = $1 AND revision = $2`
		return tx.ExecContext(ctx, query, strings.ToLower(name), revision)
	})
	if err != nil {
		return fmt.Errorf("delete %q: %w", name, err)
	}
	return nil
}

// Changed reads one number, and all revisions when it is another one than before.
func (s *Store) Changed(ctx context.Context, known map[string]int64) (changed []durable.Record, gone []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const query = `SELECT number, CASE WHEN number <> $1 THEN (
		SELECT coalesce(json_object_agg(lower(name), revision), '{}') FROM livemigration_records
	) END FROM livemigration_changes`
	var number int64
	var revisions []byte
	if err := s.db.QueryRowContext(ctx, query, s.number).Scan(&number, &revisions); err != nil {
		return nil, nil, err
	}
	if revisions != nil {
		s.number, s.revisions = number, nil
		if err := json.Unmarshal(revisions, &s.revisions); err != nil {
			return nil, nil, err
		}
	}
	differs := maps.Clone(s.revisions)
	for name, revision := range known {
		switch stored, exists := s.revisions[strings.ToLower(name)]; {
		case !exists:
			gone = append(gone, name)
		case stored == revision:
			delete(differs, strings.ToLower(name))
		}
	}
	if len(differs) > 0 {
		names := slices.Collect(maps.Keys(differs))
		changed, err = s.records(ctx, `SELECT name, record FROM livemigration_records WHERE lower(name) = ANY ($1)`, names)
	}
	return changed, gone, err
}

// Lock takes a lock of the session of one connection. It ends with the connection, which is checked every second.
func (s *Store) Lock(ctx context.Context, what string) (lost <-chan struct{}, unlock func() error, err error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("lock %q: %w", what, err)
	}
	var locked bool
	const query = `SELECT pg_try_advisory_lock('livemigration_records'::regclass::oid::int, hashtext($1))`
	err = conn.QueryRowContext(ctx, query, what).Scan(&locked)
	if err == nil && !locked {
		err = durable.ErrRunning
	}
	if err != nil {
		return nil, nil, fmt.Errorf("lock %q: %w", what, errors.Join(err, drop(conn)))
	}
	watching, stop := context.WithCancel(context.Background())
	ended, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for answers(watching, conn) {
			select {
			case <-watching.Done():
			case <-time.After(checkInterval):
			}
		}
		if watching.Err() == nil {
			close(ended)
		}
	}()
	return ended, sync.OnceValue(func() error {
		stop()
		<-stopped
		return drop(conn)
	}), nil
}

func answers(ctx context.Context, conn *sql.Conn) bool {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return conn.PingContext(ctx) == nil
}

// drop closes a connection, and with it what its session has locked, in place of returning it to the pool.
func drop(conn *sql.Conn) error {
	err := conn.Raw(func(any) error { return driver.ErrBadConn })
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) {
		return nil // it is closed
	}
	return err
}
