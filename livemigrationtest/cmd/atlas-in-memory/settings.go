package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

const (
	maxClusters = 10_000
	maxOrgs     = 100
	anyAddr     = "127.0.0.1:0" // a free port of this machine
)

// settings are what the flags say.
type settings struct {
	flags          *flag.FlagSet
	addr           string
	speed          float64
	source         string // empty: not served
	clusters, orgs int
	serviceAccount bool
	oneAtATime     bool
	rateLimits     bool
	documented     bool
	lagGrowth      time.Duration
	upgrade        time.Duration
	faults         []func(*livemigrationtest.Server)
}

const introduction = `atlas-in-memory [flags] runs an in-memory Atlas until it gets an interrupt
or SIGTERM. It prints the variables that a tool needs, one NAME=value a line.

AvailableProjects.List lists no source project until a link-token has been
created with LinkTokens.Create. With -source it lists none until the source
organization has been connected too, with MigrationLink.Create. A migration
can be created without either. GET /_inmemory/migrations returns the
migrations that were created.

`

func parse(args []string) (*settings, error) {
	s := &settings{addr: anyAddr, flags: flag.NewFlagSet("atlas-in-memory", flag.ContinueOnError)}
	flags := s.flags
	flags.SetOutput(io.Discard)
	flags.Func("addr", "loopback `address` of Atlas (default "+anyAddr+", a free port)", func(value string) error {
		s.addr = value
		return checkLoopback(value)
	})
	flags.Float64Var(&s.speed, "speed", 60, "how many times as fast as real time jobs run")
	flags.BoolFunc("source", "serve the source side, too, with -source=ADDRESS at that loopback address", s.setSource)
	flags.IntVar(&s.clusters, "clusters", 0, "`number` of clusters of each source organization, each with its own migration\n"+
		"host; 0: three made-up ones on two hosts")
	flags.IntVar(&s.orgs, "organizations", 1, "`number` of source organizations")
	flags.BoolVar(&s.serviceAccount, "service-account", false, "print a service account in place of an API key")
	flags.BoolVar(&s.oneAtATime, "one-at-a-time", false, "reject a migration with 409 while another one of its migration\n"+
		"host or source organization is in progress")
	flags.BoolVar(&s.rateLimits, "rate-limits", false, "enforce the published rate limits")
	flags.BoolVar(&s.documented, "documented", false, "send the challenge and the responses that the documentation prints")
	flags.DurationVar(&s.lagGrowth, "lag-growth", 0, "`duration` by which the lag grows in an hour of the job clock")
	flags.DurationVar(&s.upgrade, "upgrade", 0, "`duration` for which every change is rejected with 405 at first")
	flags.Func("fault", "`OPERATION=FAULT[:TIMES]`, as Migrations.Create=reset or Migrations.Get=503:2; it\n"+
		"may be given several times. FAULT is a status, "+faultNames, s.addFault)
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	return s, s.check(flags.Args())
}

func (s *settings) usage() string {
	var b strings.Builder
	b.WriteString(introduction)
	s.flags.SetOutput(&b)
	s.flags.PrintDefaults()
	return b.String()
}

func (s *settings) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q; a value of -source is written -source=ADDRESS", rest[0])
	case !(s.speed >= 0) || math.IsInf(s.speed, 0):
		return errors.New("-speed must be a number that is not negative")
	case s.clusters < 0 || s.clusters > maxClusters:
		return fmt.Errorf("-clusters must be between 0 and %d", maxClusters)
	case s.orgs < 1 || s.orgs > maxOrgs:
		return fmt.Errorf("-organizations must be between 1 and %d", maxOrgs)
	case s.lagGrowth < 0 || s.upgrade < 0:
		return errors.New("-lag-growth and -upgrade must not be negative")
	}
	return nil
}

// setSource takes an address, or whether the source side is served at all.
func (s *settings) setSource(value string) error {
	on, err := strconv.ParseBool(value)
	switch {
	case err != nil:
		s.source = value
		return checkLoopback(value)
	case on:
		s.source = anyAddr
	default:
		s.source = ""
	}
	return nil
}

// checkLoopback makes sure that no other machine sees made-up keys and clusters.
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

const faultNames = "reset (processed,\nwithout a response), refuse (reset before it is processed), hang, truncate, html or upgrade"

var operations = []livemigrationtest.Operation{
	livemigrationtest.CreateLinkToken, livemigrationtest.DeleteLinkToken, livemigrationtest.ListAvailableProjects,
	livemigrationtest.CreateValidation, livemigrationtest.GetValidation, livemigrationtest.CreateMigration,
	livemigrationtest.GetMigration, livemigrationtest.Cutover, livemigrationtest.CreateMigrationLink,
	livemigrationtest.GetMigrationLinkStatus, livemigrationtest.DeleteMigrationLink,
}

func (s *settings) addFault(value string) (err error) {
	operation, rest, _ := strings.Cut(value, "=")
	name, count, counted := strings.Cut(rest, ":")
	op, times := livemigrationtest.Operation(operation), 1
	if !slices.Contains(operations, op) {
		return fmt.Errorf("OPERATION must be one of %v", operations)
	}
	if counted {
		if times, err = strconv.Atoi(count); err != nil || times < 1 {
			return errors.New("TIMES must be a positive number")
		}
	}
	fault, known := map[string]livemigrationtest.Fault{
		"reset": livemigrationtest.ResetAfterRequest(), "refuse": livemigrationtest.ResetBeforeRequest(),
		"hang": livemigrationtest.SlowBody(24 * time.Hour), "truncate": livemigrationtest.TruncatedBody(),
		"html": livemigrationtest.NonJSONBody(), "upgrade": livemigrationtest.Upgrading(),
	}[name]
	if status, err := strconv.Atoi(name); err == nil && status >= 400 && status <= 599 {
		fault, known = livemigrationtest.Status(status), true
	}
	if !known {
		return errors.New("FAULT must be a status from 400 to 599, " + strings.ReplaceAll(faultNames, "\n", " "))
	}
	s.faults = append(s.faults, func(srv *livemigrationtest.Server) { srv.Inject(op, fault, times) })
	return nil
}

func (s *settings) options() []livemigrationtest.Option {
	opts := []livemigrationtest.Option{
		livemigrationtest.WithSpeed(s.speed), livemigrationtest.WithAutoConnect(s.source == ""),
		livemigrationtest.WithLagGrowth(s.lagGrowth), livemigrationtest.WithUpgrade(s.upgrade),
	}
	for _, o := range []struct {
		on     bool
		option livemigrationtest.Option
	}{
		{s.oneAtATime, livemigrationtest.WithOneAtATime()},
		{s.rateLimits, livemigrationtest.WithPublishedRateLimits()},
		{s.documented, livemigrationtest.WithDocumentedChallenge()},
		{s.documented, livemigrationtest.WithDocumentedResponses()},
	} {
		if o.on {
			opts = append(opts, o.option)
		}
	}
	if s.clusters > 0 {
		opts = append(opts, livemigrationtest.WithSourceProjects(fleet(0, s.clusters)))
	}
	for org := 1; org < s.orgs; org++ {
		opts = append(opts, livemigrationtest.WithSourceOrganization(fleet(org, max(s.clusters, 1))))
	}
	return opts
}

// fleet is the project of a source organization, with as many clusters and migration hosts.
func fleet(org, clusters int) livemigration.AvailableProject {
	id := func(number int) string { return fmt.Sprintf("5c7e8f90f1ee7%03d000%05x", org, number) }
	project := livemigration.AvailableProject{Name: "Fleet", ProjectID: livemigration.ProjectID(id(0))}
	prefix := ""
	if org > 0 {
		prefix = fmt.Sprintf("org-%d-", org+1)
	}
	for i := 1; i <= clusters; i++ {
		project.MigrationHosts = append(project.MigrationHosts, fmt.Sprintf("%smigration-host-%d.example.com", prefix, i))
		project.Deployments = append(project.Deployments, livemigration.Deployment{
			ClusterID: id(i), Name: fmt.Sprintf("%scluster-%d", prefix, i),
			MongoDBVersion: "7.0.14", FeatureCompatibilityVersion: "7.0", AgentVersion: "13.23.0.9072-1",
			Managed: true, TLSEnabled: true, DBSizeBytes: int64(i) << 30, OplogSizeMB: 2048,
		})
	}
	return project
}
