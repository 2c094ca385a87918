// Package benchmarks measures the client side by side with the other ways to make the same calls: bare net/http with a
// ready-made Authorization header, which is the floor; net/http with github.com/icholy/digest; and the official client
// of the legacy API. All of them talk to the same server in the same run, in turns.
//
//	go run -C test/benchmarks ./cmd/benchmarks           # measures everything and rewrites docs/performance.md
//	go run -C test/benchmarks ./cmd/benchmarks -check    # fails when a budget is broken
//	go test -C test/benchmarks -bench Calls/Read         # one benchmark under the tools of package testing
//
// It is a module of its own, so that nobody who imports the library inherits what it is compared with.
package benchmarks
