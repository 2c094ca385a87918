package crash

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

var (
	seed  = flag.Uint64("seed", 1, "`seed` of random deaths")
	write = flag.String("figures", "", "`file` for the figures of the document")
)

// reported is the figures of the document, by row.
var reported = struct {
	sync.Mutex
	rows map[string]Figures
}{rows: make(map[string]Figures)}

func report(t *testing.T, row string, f Figures) {
	t.Helper()
	t.Logf("%s: %+v", row, f)
	if t.Failed() {
		return
	}
	reported.Lock()
	defer reported.Unlock()
	reported.rows[row] = f
}

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(figuresWriter{m})
}

// figuresWriter runs the tests and writes their figures.
type figuresWriter struct{ m *testing.M }

func (w figuresWriter) Run() int {
	code := w.m.Run()
	if code != 0 || *write == "" {
		return code
	}
	data, err := json.Marshal(reported.rows)
	if err == nil {
		err = os.WriteFile(*write, data, 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "write the figures:", err)
		return 1
	}
	return 0
}
