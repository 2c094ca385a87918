// Command pushmigration carries a whole push live migration through: link-token, source projects, validation,
// migration, replication, cutover, completion. With nothing configured it shows all of that on an Atlas in memory.
//
// Run it with -h for its flags.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signal.Ignore(syscall.SIGPIPE) // a closed pipe is then an error of the write, of which the run can say something
	ctx, again := untilInterrupted(context.Background())
	os.Exit(run(ctx, again, os.Args[1:], stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

// untilInterrupted returns a context that the first signal to end ends, and a channel that the second one closes. A
// third one ends the program at once.
func untilInterrupted(parent context.Context) (ctx context.Context, again <-chan struct{}) {
	ctx, cancel := context.WithCancel(parent)
	second := make(chan struct{})
	signals := make(chan os.Signal, 2)
	ending := endingSignals()
	signal.Notify(signals, ending...)
	go func() {
		<-signals
		cancel()
		<-signals
		signal.Reset(ending...)
		close(second)
	}()
	return ctx, second
}

// endingSignals has the end of the terminal among them, unless the program was started to outlive it, as by nohup.
func endingSignals() []os.Signal {
	ending := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		ending = append(ending, syscall.SIGHUP)
	}
	return ending
}
