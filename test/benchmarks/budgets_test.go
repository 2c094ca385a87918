package benchmarks

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
)

// within is a measurement that keeps to every budget that the check is about.
func within() Results {
	call := func(name, place, peer string, ns, allocs float64) Sample {
		return Sample{name, place, peer, 1, map[string]float64{unitTime: ns, unitAllocs: allocs, unitRequests: 1}}
	}
	watch := map[string]float64{unitHeap: 2000, unitStack: 4000, unitGoroutines: 1, unitRate: 1}
	built := func(peer string, size float64) Sample {
		return Sample{"Footprint", "build", peer, 1, map[string]float64{unitBinary: size, unitStripped: size}}
	}
	return Results{
		call("Read", serverAtlas, peerBare, 100, 50), call("Read", serverAtlas, peerOurs, 110, 70),
		call("Read", serverMinimal, peerBare, 100, 50), call("Read", serverMinimal, peerOurs, 110, 70),
		call("Read", serverProcess, peerBare, 100, 50), call("Read", serverProcess, peerOurs, 110, 70),
		call("Parallel", serverMinimal, peerBare, 100, 50), call("Parallel", serverMinimal, peerOurs, 110, 70),
		call("Latency", serverMinimal, peerBare, 100, 50), call("Latency", serverMinimal, peerOurs, 101, 70),
		call("CreateSharded", serverAtlas, peerBare, 100, 50), call("CreateSharded", serverAtlas, peerOurs, 120, 70),
		{"Scale", "watches1000", peerOurs, 1000, watch},
		built(peerBare, 8e6), built(programRequired, 8.1e6), built(peerOurs, 8.5e6),
	}
}

func TestCheck(t *testing.T) {
	if lines, times, counts := Check(within()); times+counts > 0 {
		t.Errorf("%d budgets are broken:\n%s", times+counts, strings.Join(lines, "\n"))
	}
	for _, unit := range []string{unitTime, unitAllocs, unitRequests, unitHeap, unitGoroutines, unitBinary} {
		t.Run(unit, func(t *testing.T) {
			worse := within()
			for _, s := range worse {
				if _, has := s.Values[unit]; has && s.Peer == peerOurs {
					s.Values[unit] *= 4
				}
			}
			if _, times, counts := Check(worse); (times > 0) != (unit == unitTime) || (counts > 0) != (unit != unitTime) {
				t.Error("four times as much does not break the right budgets")
			}
		})
	}
	if _, times, counts := Check(nil); times == 0 || counts == 0 {
		t.Error("what has not been measured keeps to its budget")
	}
}

func TestCheckAllowsWhatAuthenticationCosts(t *testing.T) {
	slow := within()
	for _, s := range slow {
		if s.Benchmark == "Read" && s.Place == serverMinimal && s.Peer == peerOurs {
			s.Values[unitTime] = 140
		}
	}
	if _, times, _ := Check(slow); times != 1 {
		t.Errorf("%d budgets of times are broken", times)
	}
	digest := func(ns float64) Results {
		return append(slow, Sample{"Read", serverMinimal, peerIcholy, 1, map[string]float64{unitTime: ns}})
	}
	if _, times, _ := Check(digest(135)); times != 0 {
		t.Error("a machine on which HTTP Digest costs as much breaks the budget")
	}
	if _, times, _ := Check(digest(120)); times != 1 {
		t.Error("a machine on which HTTP Digest costs less does not break the budget")
	}
}

func TestResultsSurviveTheFile(t *testing.T) {
	var file bytes.Buffer
	file.WriteString(Head())
	if err := within().Write(&file); err != nil {
		t.Fatal(err)
	}
	got, err := Parse(&file)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, within()) {
		t.Errorf("got %v", got)
	}
}

func TestMedian(t *testing.T) {
	if got := median([]float64{9, 1, 2}); got != 2 {
		t.Errorf("of three: %v", got)
	}
	if got := median([]float64{9, 1, 2, 4}); got != 3 {
		t.Errorf("of four: %v", got)
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("of none: %v", got)
	}
}

func TestRewrite(t *testing.T) {
	got, err := Rewrite("a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n", map[string]string{"x": "new\n"})
	if want := "a\n<!-- begin x -->\n\nnew\n\n<!-- end x -->\nb\n"; err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := Rewrite("a", map[string]string{"x": "new"}); err == nil {
		t.Error("a missing section goes unnoticed")
	}
}
