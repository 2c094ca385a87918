package faultmatrix

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	lm "github.com/livemigration/livemigration-go"
)

// TestMatrixInProcess runs the cells on virtual time, with the client's own backoff. A bubble does not end before every
// goroutine in it has.
func TestMatrixInProcess(t *testing.T) {
	account := inProcess(lm.APIv2)
	account.name, account.account = "in process, service account", true
	for _, v := range []venue{inProcess(lm.APIv2), inProcess(lm.APIv1), account} {
		for _, f := range Faults() {
			if !v.suits(f) {
				continue
			}
			t.Run(v.name+"/"+f.Name, func(t *testing.T) {
				t.Parallel()
				for _, c := range f.cells() {
					if !v.suitsOperation(c.Operation) {
						continue
					}
					synctest.Test(t, func(t *testing.T) {
						r := c.run(t.Context(), v)
						for _, problem := range r.differs(c.expectIn(v)) {
							t.Errorf("%s: %s", c, problem)
						}
						if r.overrun > 0 {
							t.Errorf("%s: outlives its context by %s", c, r.overrun)
						}
					})
				}
			})
		}
	}
}

// TestMatrixOverSockets runs the cells on real connections. The cells of a few faults run side by side; then no
// goroutine may be left.
func TestMatrixOverSockets(t *testing.T) {
	if os.Getenv("FAULTMATRIX_SOCKETS") == "" {
		t.Skip("set FAULTMATRIX_SOCKETS=1: it waits for many timeouts of real time")
	}
	certificates()
	for _, v := range sockets() {
		t.Run(v.name, func(t *testing.T) {
			for _, batch := range batches(v) {
				start := time.Now()
				runBatch(t, v, batch)
				t.Logf("%d cells, %q and its like: %s", len(batch), batch[0].Fault.Name, time.Since(start).Round(time.Millisecond))
				if err := goleak.Find(); err != nil {
					t.Errorf("after %q and its like: %v", batch[0].Fault.Name, err)
				}
			}
		})
	}
}

// batches puts together what takes its time for the same reason.
func batches(v venue) [][]Cell {
	var byPace [3][][]Cell
	for _, f := range Faults() {
		if !v.suits(f) {
			continue
		}
		pace := 0
		switch {
		case f.ends != never:
			pace = 2
		case f.impatient:
			pace = 1
		}
		batch := byPace[pace]
		const faults = 8
		if n := len(batch); n == 0 || len(batch[n-1]) >= faults*len(f.cells()) {
			batch = append(batch, nil)
		}
		batch[len(batch)-1] = append(batch[len(batch)-1], f.cells()...)
		byPace[pace] = batch
	}
	return slices.Concat(byPace[0], byPace[1], byPace[2])
}

func runBatch(t *testing.T, v venue, batch []Cell) {
	t.Helper()
	atOnce := 16
	switch f := batch[0].Fault; {
	case f.ends != never: // the end of many contexts at once would be the test's own delay
		atOnce = 24
	case f.impatient: // they mostly wait
		atOnce = 48
	}
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		again []Cell
	)
	slots := make(chan struct{}, atOnce)
	for _, c := range batch {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			problems := c.judge(t, v)
			if len(problems) > 0 && c.timed() {
				mu.Lock()
				again = append(again, c)
				mu.Unlock()
				return
			}
			c.report(t, v, problems)
		})
	}
	wg.Wait()
	for _, c := range again {
		c.report(t, v, c.judgeAlone(t, v))
	}
}

// timed reports whether the cell depends on real time, and so on what else the machine does.
func (c Cell) timed() bool { return c.Fault.impatient || c.Fault.ends != never }

func (c Cell) report(t *testing.T, v venue, problems []string) {
	t.Helper()
	for _, problem := range problems {
		t.Errorf("%s, %s: %s", v.name, c, problem)
	}
}

// judge runs a cell and returns what is wrong.
func (c Cell) judge(t *testing.T, v venue) []string {
	t.Helper()
	r := c.run(t.Context(), v)
	problems := r.differs(Expect(c))
	if r.unsafe(c) { // which must not happen in any run
		c.report(t, v, append(problems, "that is unsafe"))
		return nil
	}
	if r.overrun > promptness {
		problems = append(problems, fmt.Sprintf("outlives its context by %s", r.overrun))
	}
	return problems
}

// judgeAlone runs a cell again, with more time and without others at the same time. The best of three runs counts.
func (c Cell) judgeAlone(t *testing.T, v venue) (problems []string) {
	t.Helper()
	for range 3 {
		if problems = c.judge(t, v.patient()); len(problems) == 0 {
			return nil
		}
	}
	return problems
}

// TestMatrixIsSafe holds the expectations themselves against what no rule may allow.
func TestMatrixIsSafe(t *testing.T) {
	t.Parallel()
	for _, c := range Cells() {
		e := Expect(c)
		if c.Operation.class != creating {
			continue
		}
		assert.LessOrEqual(t, e.Change, 1, "%s: created twice", c)
		if e.Change == 1 {
			assert.True(t, e.Result.ok() || e.Result.Unknown, "%s: something exists, and the error does not say so", c)
		}
	}
}

// TestEndlessHead shows that the client is safe from a head without end also with the limit that net/http has by
// default, which the matrix lowers.
func TestEndlessHead(t *testing.T) {
	var endless *Fault
	for _, f := range Faults() {
		if f.result.Cause == EndlessHead {
			endless = f
		}
	}
	v := sockets()[0]
	v.headLimit = 0
	for _, op := range Operations {
		if op.class == reading || op.class == creating {
			c := Cell{op, endless, First}
			assert.Empty(t, c.judge(t, v), c.String())
		}
	}
}

func TestMatrixIsWhole(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, f := range Faults() {
		assert.False(t, names[f.Name], "two faults are called %q", f.Name)
		names[f.Name] = true
		assert.True(t, slices.ContainsFunc(sockets(), func(v venue) bool { return v.suits(f) }), "%q is never run", f.Name)
	}
	for _, x := range exceptions {
		assert.True(t, names[x.fault], "there is no fault %q for an exception", x.fault)
	}
	for i, r := range rules {
		assert.Equal(t, harmless+effect(i), r.effect, "the order of the rules")
	}
	assert.Len(t, Operations, 11)
	t.Logf("%d faults, %d cells", len(names), len(Cells()))
}

func TestMatrixDocumentIsCurrent(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/internals/fault-matrix.md")
	require.NoError(t, err)
	assert.True(t, string(data) == Document(), "docs/internals/fault-matrix.md is not current: the command in its second line writes it")
	assert.Equal(t, Document(), Document(), "the same each time")
	assert.False(t, strings.Contains(Document(), "127.0.0.1"))
}
