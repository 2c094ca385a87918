package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"strconv"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// maxClusters is the most that -clusters takes.
const maxClusters = 10_000

// anyAddr is a free port of this machine.
const anyAddr = "127.0.0.1:0"

// settings are what the flags say.
type settings struct {
	addr           string
	speed          float64
	source         sourceFlag
	clusters       int
	serviceAccount bool
}

// sourceFlag is -source, which may have an address: -source=127.0.0.1:8081.
type sourceFlag struct {
	on   bool
	addr string // empty: anyAddr
}

func (f *sourceFlag) IsBoolFlag() bool { return true }

func (f *sourceFlag) String() string { return f.addr }

func (f *sourceFlag) Set(value string) error {
	if on, err := strconv.ParseBool(value); err == nil {
		f.on = on
		return nil
	}
	f.on, f.addr = true, value
	return checkLoopback(value)
}

// loopbackFlag is an address that only this machine can reach.
type loopbackFlag struct{ addr *string }

func (f loopbackFlag) String() string {
	if f.addr == nil {
		return ""
	}
	return *f.addr
}

func (f loopbackFlag) Set(value string) error {
	*f.addr = value
	return checkLoopback(value)
}

const usage = `atlas-in-memory [flags] runs an in-memory Atlas until it gets an interrupt
or SIGTERM. It prints the variables that a tool needs, one NAME=value a line.

AvailableProjects.List lists no source project until a link-token has been
created with LinkTokens.Create. With -source it lists none until the source
organization has been connected too, with MigrationLink.Create. A migration
can be created without either.

`

func parse(args []string, stderr io.Writer) (settings, error) {
	s := settings{addr: anyAddr}
	flags := flag.NewFlagSet("atlas-in-memory", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = io.WriteString(stderr, usage)
		flags.PrintDefaults()
	}
	flags.Var(loopbackFlag{&s.addr}, "addr", "loopback `address` of Atlas; port 0 is a free one")
	flags.Float64Var(&s.speed, "speed", 60, "how many times as fast as real time jobs run")
	flags.Var(&s.source, "source", "serve the source side, too, with -source=ADDRESS at that loopback address")
	flags.IntVar(&s.clusters, "clusters", 0, "`number` of clusters of the source organization, each with a migration\n"+
		"host of its own; 0: three made-up ones on two hosts")
	flags.BoolVar(&s.serviceAccount, "service-account", false, "print a service account in the place of an API key")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if err := s.check(flags.Args()); err != nil {
		_, _ = fmt.Fprintln(stderr, "atlas-in-memory:", err)
		return s, err
	}
	return s, nil
}

func (s settings) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q: a value of -source is written -source=ADDRESS", rest[0])
	case !(s.speed >= 0) || math.IsInf(s.speed, 0):
		return errors.New("-speed must be a number that is not negative")
	case s.clusters < 0 || s.clusters > maxClusters:
		return fmt.Errorf("-clusters must be between 0 and %d", maxClusters)
	}
	return nil
}

// checkLoopback makes sure that no other machine gets to see made-up keys and clusters.
func checkLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("must be an address with a port, such as 127.0.0.1:8080: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return errors.New("must be a loopback address, such as 127.0.0.1:8080")
	}
	return nil
}

func (s settings) options() []livemigrationtest.Option {
	opts := []livemigrationtest.Option{
		livemigrationtest.WithSpeed(s.speed), livemigrationtest.WithAutoConnect(!s.source.on),
	}
	if s.clusters > 0 {
		opts = append(opts, livemigrationtest.WithSourceProjects(fleet(s.clusters)))
	}
	return opts
}
