package crash

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// How much the tests do.
const (
	pairs      = 500 // of deaths in process
	kills      = 30  // of processes
	migrations = 60  // that the processes have to do
)

var (
	seed  = flag.Uint64("seed", 1, "`seed` of random deaths")
	write = flag.Bool("write", false, "write the figures into the document")
)

// measured is the figures of the document, by row.
var measured = struct {
	sync.Mutex
	rows map[string]figures
}{rows: make(map[string]figures)}

func report(t *testing.T, row string, f figures) {
	t.Helper()
	t.Logf("%s: %+v", row, f)
	measured.Lock()
	defer measured.Unlock()
	measured.rows[row] = f
}

func TestMain(m *testing.M) {
	if os.Getenv(workerEnv) != "" {
		os.Exit(work(context.Background()))
	}
	flag.Parse()
	goleak.VerifyTestMain(withDocument{m})
}

// withDocument runs the tests. When all of them have passed, it writes or checks the document.
type withDocument struct{ m *testing.M }

func (w withDocument) Run() int {
	code := w.m.Run()
	if code != 0 || len(measured.rows) < len(rows) {
		return code
	}
	if err := updateDocument(section(measured.rows), *write); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
