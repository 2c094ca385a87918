// Package benchmarks measures the client side by side with the other ways to make the same calls: bare net/http, which is
// the floor; net/http with github.com/icholy/digest; and the official client of the legacy API. All of them talk to the
// same server in the same run, in turns.
//
//	go run -C test/benchmarks ./cmd/benchmarks             # measures everything and rewrites the tables of the documents
//	go run -C test/benchmarks ./cmd/benchmarks -check      # fails when a budget is exceeded
//	go run -C test/benchmarks ./cmd/benchmarks -functions  # prints the functions that a first Migrations.Create enters
//
// It is a module of its own, so that what the client is compared with is no dependency of the library.
package benchmarks
