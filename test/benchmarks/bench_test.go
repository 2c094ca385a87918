package benchmarks

import (
	"testing"
)

// BenchmarkCalls runs single benchmarks under the tools of package testing, for profiles. cmd/benchmarks compares.
func BenchmarkCalls(b *testing.B) {
	for i := range benchmarks {
		bench := &benchmarks[i]
		for _, server := range bench.servers {
			for _, p := range peers {
				b.Run(bench.name+"/place="+server+"/peer="+p.name, func(b *testing.B) { bench.under(b, server, p) })
			}
		}
	}
}

func (b *benchmark) under(tb *testing.B, server string, p peer) {
	s, err := newSite(server, b.siteOptions)
	if err != nil {
		tb.Fatal(err)
	}
	defer s.close()
	l, err := b.open(s, p)
	if err != nil {
		tb.Fatal(err)
	}
	if l == nil {
		tb.Skip("this peer cannot do it")
	}
	defer l.close()
	if err := l.warmUp(); err != nil {
		tb.Fatal(err)
	}
	if l.client.prepare != nil {
		l.client.prepare(tb.N)
	}
	tb.ReportAllocs()
	requests := s.requests.Load()
	tb.ResetTimer()
	if err := l.makeCalls(tb.N); err != nil {
		tb.Fatal(err)
	}
	tb.StopTimer()
	tb.ReportMetric(float64(s.requests.Load()-requests)/float64(tb.N), unitRequests)
}
