// Command pushmigration does a whole push live migration: link-token, connection of the source organization, validation,
// migration, cutover. It keeps what it does in a directory, and the same command again continues where it was, after
// Ctrl-C, kill -9 or a reboot.
//
// With nothing configured it shows all of that on the in-memory Atlas. Run it with -h for its flags.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/livemigration/livemigration-go"
)

// The exit statuses.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnclear     = 3
	exitInterrupted = 130
)

// The environment variables beside the ones that the library reads.
const (
	orgVariable        = "MONGODB_ATLAS_ORG_ID"
	projectVariable    = "MONGODB_ATLAS_PROJECT_ID"
	passwordVariable   = "SOURCE_PASSWORD"
	sourceURLVariable  = "SOURCE_BASE_URL"
	sourceOrgVariable  = "SOURCE_ORG_ID"
	sourceKeyVariable  = "SOURCE_PUBLIC_API_KEY"
	sourcePrivVariable = "SOURCE_PRIVATE_API_KEY"
)

const usage = `pushmigration migrates a cluster from Cloud Manager or Ops Manager to Atlas.

  pushmigration -yes                                  a demonstration on the in-memory Atlas, in about 15 seconds
  pushmigration -request FILE [-link] [-state DIR]    a real migration; the same command again continues it

The credentials are MONGODB_ATLAS_CLIENT_ID and MONGODB_ATLAS_CLIENT_SECRET (service account), or
MONGODB_ATLAS_PUBLIC_API_KEY and MONGODB_ATLAS_PRIVATE_API_KEY (API key). MONGODB_ATLAS_ORG_ID and
MONGODB_ATLAS_PROJECT_ID say where to. SOURCE_PASSWORD is the password of the source user; it is stored nowhere.
With SOURCE_ORG_ID, SOURCE_PUBLIC_API_KEY and SOURCE_PRIVATE_API_KEY, -link connects the source organization by
itself, at SOURCE_BASE_URL if it is an Ops Manager. Without them it waits until you have pasted the link-token.

The example fleet shows and changes the record in another terminal, for example once writes to the source have stopped:

  fleet -state DIR approve migration

Exit status: 0 done, 1 failed, 2 wrong usage, 3 unknown whether the migration was started,
130 interrupted.

`

// options are what the command line and the environment ask for.
type options struct {
	demo           bool // nothing is configured
	request, state string
	link, yes      bool
	poll           time.Duration // 0: the library's default
	org, sourceOrg livemigration.OrgID
	project        livemigration.ProjectID
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:]))
}

// run is the program. It returns the exit status.
func run(ctx context.Context, args []string) int {
	opts, err := parseOptions(args)
	if err == nil {
		err = execute(ctx, opts)
	}
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return exitDone
	}
	_, _ = fmt.Fprintln(os.Stderr, "pushmigration: "+strings.ReplaceAll(text(err), "\n", "\npushmigration: "))
	var f *failure
	if errors.As(err, &f) {
		return f.status
	}
	return exitFailed
}

// failure is an end of the program with an exit status. Its message may have several lines.
type failure struct {
	status  int
	message string
}

func (f *failure) Error() string { return f.message }

func usagef(format string, args ...any) error {
	return &failure{exitUsage, fmt.Sprintf(format, args...)}
}

// text is an error's message without the name of the package.
func text(err error) string {
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "livemigration: "), "durable: ")
}

// parseOptions reads the command line and the environment.
func parseOptions(args []string) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("pushmigration", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.request, "request", "", "the migration as JSON in a `FILE`, as in the body of API v2; unknown fields are rejected")
	flags.StringVar(&o.state, "state", "", "`DIR` of the state, one for each migration (default pushmigration-state)")
	flags.BoolVar(&o.link, "link", false, "create a link-token and connect the source organization; the link-token is deleted at the end")
	flags.BoolVar(&o.yes, "yes", false, "delete destination data where the request says so, and cut over, without an approval")
	flags.DurationVar(&o.poll, "poll", 0, "poll the job every `TIME` (default from every 5s to every 1m)")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(os.Stdout)
		_, _ = io.WriteString(os.Stdout, usage)
		flags.PrintDefaults()
		return nil, err
	case err != nil:
		return nil, usagef("%s; -h shows what there is", err)
	case flags.NArg() > 0:
		return nil, usagef("unexpected argument %q; -h shows what there is", flags.Arg(0))
	}
	_, noCredentials := livemigration.CredentialsFromEnv()
	org, project := os.Getenv(orgVariable), os.Getenv(projectVariable)
	if o.demo = o.request == "" && noCredentials != nil && org == "" && project == ""; o.demo {
		return o, nil
	}
	if o.state == "" {
		o.state = "pushmigration-state"
	}
	return o, o.check(noCredentials, org, project)
}

// check names everything that is missing or wrong, a line each.
func (o *options) check(noCredentials error, org, project string) error {
	var wrong []string
	reject := func(bad bool, format string, args ...any) {
		if bad {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	var err error
	reject(o.request == "", "-request is missing")
	reject(o.poll < 0, "-poll must not be negative")
	reject(noCredentials != nil, "%v", noCredentials)
	o.org, err = livemigration.ParseOrgID(org)
	reject(err != nil, "%s: %v", orgVariable, err)
	o.project, err = livemigration.ParseProjectID(project)
	reject(err != nil, "%s: %v", projectVariable, err)
	if o.link && os.Getenv(sourceKeyVariable) != "" {
		o.sourceOrg, err = livemigration.ParseOrgID(os.Getenv(sourceOrgVariable))
		reject(err != nil, "%s: %v", sourceOrgVariable, err)
	}
	if len(wrong) > 0 {
		return usagef("%s", strings.Join(wrong, "\n"))
	}
	return nil
}
