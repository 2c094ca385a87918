package benchmarks

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCalls makes every call of every peer twice, and counts the requests of the second one.
func TestCalls(t *testing.T) {
	// Each API key spends one request more on a creation, since that has its own challenge, and the official client on
	// each call.
	want := map[string][2]int64{
		peerBare: {1, 1}, peerOurs: {1, 2}, peerToken: {1, 1}, peerIcholy: {1, 1}, peerOfficial: {2, 2},
	}
	for _, inProcess := range []bool{false, true} {
		s := new(server)
		url, transport, stop := s.start(inProcess)
		defer stop()
		for _, peer := range peers {
			c, err := connect(peer, url, transport())
			if err != nil {
				t.Fatal(err)
			}
			for i, call := range []call{c.read, c.create} {
				for range 2 {
					s.requests.Store(0)
					if err := call(context.Background()); err != nil {
						t.Fatalf("%s: %v", peer, err)
					}
				}
				if got := s.requests.Load(); got != want[peer][i] {
					t.Errorf("%s, in process %t: %d requests, not %d", peer, inProcess, got, want[peer][i])
				}
			}
		}
	}
}

// TestMeasure measures one round, and makes each budget of calls fail.
func TestMeasure(t *testing.T) {
	calls, err := Measure(1, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	records := parseRecords("cpu: x\nBenchmarkFleet/memory-2 1 853273960 ns/op 10.70 heap-MB 0.3243 s-to-add 0.09371 s-to-first-poll\n" +
		"BenchmarkFleet/directory-2 1 7767334572 ns/op 12.34 heap-MB 3.279 s-to-add 2.492 s-to-first-poll\nPASS\n")
	for i := range budgets {
		b := &budgets[i]
		report := Report{calls, Sizes{peerOurs: {10, 7}, programRequired: {9.5, 6.5}}, 90, 65, records}
		if got := b.measured(report); math.IsNaN(got) || got <= 0 || got > 100*b.limit {
			t.Errorf("%s: %v", b.what, got)
		}
		if !b.met(b.limit) || b.met(b.limit+0.01) || b.met(math.NaN()) {
			t.Errorf("%s: a wrong verdict", b.what)
		}
	}
	if lines, failed := Check(Report{}); strings.Contains(strings.Join(lines, "\n"), "ok  ") || failed == 0 || failed == len(budgets) {
		t.Errorf("%d budgets fail, although nothing was measured: %q", failed, lines)
	}
}

// BenchmarkCalls is for profiles.
func BenchmarkCalls(b *testing.B) {
	for _, w := range workloads {
		for _, peer := range peers {
			b.Run(w.title+"/"+peer, func(b *testing.B) {
				s := &server{latency: w.latency}
				url, transport, stop := s.start(w.inProcess)
				defer stop()
				c, err := connect(peer, url, transport())
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					if err := w.call(c)(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func TestMedian(t *testing.T) {
	if got := median([]float64{9, 1, 2}); got != 2 {
		t.Errorf("of three: %v", got)
	}
	if got := median([]float64{9, 1, 2, 4}); got != 3 {
		t.Errorf("of four: %v", got)
	}
}

func TestRewrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "document.md")
	if err := os.WriteFile(file, []byte("a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rows := Rows("x: | 1 | 2 |\ny: | 3 |\n    x: | 4 | 5 |\n", "x")
	if err := Rewrite(file, map[string]string{"x": rows}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if want := "a\n<!-- begin x -->\n\n| 1 | 2 |\n| 4 | 5 |\n\n<!-- end x -->\nb\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v", got, err)
	}
	if err := Rewrite(file, map[string]string{"y": ""}); err == nil {
		t.Error("a missing section is no error")
	}
}
