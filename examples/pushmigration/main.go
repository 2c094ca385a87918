// Command pushmigration carries a whole push live migration through: link-token, source projects, validation,
// migration, replication, cutover, completion. With nothing configured it shows all of that on an Atlas in memory.
//
// Run it with -h for its flags.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx := untilInterrupted(context.Background())
	os.Exit(run(ctx, os.Args[1:], stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

// untilInterrupted returns a context that the first SIGINT or SIGTERM ends. The second one ends the program at once.
func untilInterrupted(parent context.Context) context.Context {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals
		_, _ = fmt.Fprintln(os.Stderr, "pushmigration: interrupted twice")
		os.Exit(exitInterrupted)
	}()
	return ctx
}
