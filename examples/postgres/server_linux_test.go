package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// postgres is the server of these tests; empty: PostgreSQL is not installed.
var postgres string

func TestMain(m *testing.M) { os.Exit(withServer(m)) }

// withServer runs the tests with a server in a directory that only it uses, on a Unix socket.
func withServer(m *testing.M) int {
	programs := programDir()
	if programs == "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("/tmp", "pg-") // the path of a socket has at most 107 characters
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		var stop func() error
		if stop, err = startServer(programs, dir); err == nil {
			postgres = dir
			code := m.Run()
			if err = stop(); err == nil {
				return code
			}
		}
	}
	_, _ = fmt.Fprintln(os.Stderr, "PostgreSQL:", err)
	return 1
}

// programDir returns where the programs of PostgreSQL are. Debian has them in no directory of PATH.
func programDir() string {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	paths, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(paths) == 0 {
		return ""
	}
	return filepath.Dir(paths[len(paths)-1])
}

// startServer starts a server that ends with this process at the latest.
func startServer(programs, dir string) (stop func() error, err error) {
	attributes := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	if os.Geteuid() == 0 { // which PostgreSQL refuses to run as
		account, err := user.Lookup("postgres")
		if err != nil {
			return nil, err
		}
		uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
		if uidErr != nil || gidErr != nil {
			return nil, fmt.Errorf("the user postgres has the ids %s, %s", account.Uid, account.Gid)
		}
		attributes.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, int(uid), int(gid)); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(dir, "data")
	run := func(program string, args ...string) (*exec.Cmd, *bytes.Buffer) {
		command, output := exec.Command(filepath.Join(programs, program), args...), new(bytes.Buffer)
		command.Dir, command.SysProcAttr, command.Stdout, command.Stderr = dir, attributes, output, output
		return command, output
	}
	command, output := run("initdb", "--pgdata="+data, "--username=test", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, output)
	}
	server, output := run("postgres", "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200")
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the server would end with the thread that started it
		err := server.Start()
		started <- err
		if err == nil {
			ended <- server.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	if err := waitForServer(dir); err != nil {
		_ = server.Process.Kill()
		<-ended // so that it writes no more
		return nil, fmt.Errorf("%w: %s", err, output)
	}
	return func() error {
		if err := server.Process.Signal(syscall.SIGINT); err != nil { // ends all sessions
			return err
		}
		return <-ended
	}, nil
}

func waitForServer(dir string) error {
	db, err := sql.Open("pgx", dataSource(dir, "public"))
	if err != nil {
		return err
	}
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if err = db.PingContext(context.Background()); err == nil || time.Since(start) > time.Minute {
			return err
		}
	}
}

func dataSource(dir, schema string) string {
	return fmt.Sprintf("host=%s user=test dbname=postgres search_path=%s", dir, schema)
}

var schemas atomic.Int32

// newDatabase returns the data source of an empty schema, which has locks that no other schema has.
func newDatabase(t *testing.T) string {
	t.Helper()
	if postgres == "" {
		const missing = "PostgreSQL is not installed: apt-get install postgresql"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	schema := fmt.Sprint("test_", schemas.Add(1))
	_, err := open(t, dataSource(postgres, "public")).ExecContext(t.Context(), "CREATE SCHEMA "+schema)
	require.NoError(t, err)
	return dataSource(postgres, schema)
}

func open(t *testing.T, source string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", source)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	db.SetMaxOpenConns(20)
	return db
}

func openStore(t *testing.T, source string) *Store {
	t.Helper()
	store, err := OpenStore(t.Context(), open(t, source))
	require.NoError(t, err)
	return store
}

// terminate ends connections: those that have locked something, or all but its own.
func terminate(t *testing.T, db *sql.DB, which string) (n int) {
	t.Helper()
	query := map[string]string{
		"locks": `SELECT count(pg_terminate_backend(pid)) FROM pg_locks
			WHERE locktype = 'advisory' AND classid = 'livemigration_records'::regclass::oid`,
		"all": `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`,
	}[which]
	require.NoError(t, db.QueryRowContext(t.Context(), query).Scan(&n))
	return n
}
