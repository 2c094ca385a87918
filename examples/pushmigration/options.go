package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go"
)

// The environment variables that stand in for flags.
const (
	orgVariable      = "MONGODB_ATLAS_ORG_ID"
	projectVariable  = "MONGODB_ATLAS_PROJECT_ID"
	baseURLVariable  = "MONGODB_ATLAS_BASE_URL"
	passwordVariable = "SOURCE_PASSWORD"
)

// The environment variables of the credentials, which the library reads. For those of the API key it knows second names.
const (
	clientIDVariable     = "MONGODB_ATLAS_CLIENT_ID"
	clientSecretVariable = "MONGODB_ATLAS_CLIENT_SECRET"
	publicKeyVariable    = "MONGODB_ATLAS_PUBLIC_API_KEY"
	privateKeyVariable   = "MONGODB_ATLAS_PRIVATE_API_KEY"
)

// configuring are the flags and variables of which each one says that a real Atlas is meant: none of them may be set
// for a demonstration, so that a forgotten flag never ends in one.
var configuring = struct{ flags, variables []string }{
	flags: []string{"base-url", "org", "project", "request", "resume", "delete-link-token"},
	variables: []string{
		clientIDVariable, clientSecretVariable,
		publicKeyVariable, "MONGODB_ATLAS_PUBLIC_KEY",
		privateKeyVariable, "MONGODB_ATLAS_PRIVATE_KEY",
		orgVariable, projectVariable, baseURLVariable,
	},
}

// options are what the command line and the environment ask for.
type options struct {
	demo bool // nothing is configured

	baseURL string // empty: the library's default
	version livemigration.APIVersion
	org     livemigration.OrgID
	project livemigration.ProjectID

	requestFile     string
	resume          livemigration.MigrationID
	validateOnly    bool
	deleteLinkToken bool

	tokenFile  string
	accessList []string

	yes      bool
	timeout  time.Duration // 0: none
	poll     time.Duration // 0: the library's default
	debugLog string
}

// parseOptions reads the command line and the environment. The error is [flag.ErrHelp] or a usage failure.
func parseOptions(args []string) (*options, error) {
	o := &options{version: livemigration.APIv2}
	flags := o.flagSet()
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, usagef("%s; -h shows what there is", err)
	}
	if flags.NArg() > 0 {
		return nil, usagef("unexpected argument %q: everything is a flag; -h shows what there is", flags.Arg(0))
	}
	o.demo = !configured(flags)
	return o, o.check()
}

// flagSet takes the defaults from the environment. The texts for people are in usage.go.
func (o *options) flagSet() *flag.FlagSet {
	flags := flag.NewFlagSet("pushmigration", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	flags.StringVar(&o.baseURL, "base-url", os.Getenv(baseURLVariable), "")
	flags.Func("api-version", "", o.setVersion)
	flags.StringVar((*string)(&o.org), "org", os.Getenv(orgVariable), "")
	flags.StringVar((*string)(&o.project), "project", os.Getenv(projectVariable), "")
	flags.StringVar(&o.requestFile, "request", "", "")
	flags.StringVar((*string)(&o.resume), "resume", "", "")
	flags.BoolVar(&o.validateOnly, "validate-only", false, "")
	flags.BoolVar(&o.deleteLinkToken, "delete-link-token", false, "")
	flags.StringVar(&o.tokenFile, "token-file", "", "")
	flags.Func("access-list", "", o.setAccessList)
	flags.BoolVar(&o.yes, "yes", false, "")
	flags.DurationVar(&o.timeout, "timeout", 0, "")
	flags.DurationVar(&o.poll, "poll", 0, "")
	flags.StringVar(&o.debugLog, "debug-log", "", "")
	return flags
}

func (o *options) setVersion(value string) error {
	switch value {
	case "v2":
		o.version = livemigration.APIv2
	case "v1", "v1.0":
		o.version = livemigration.APIv1
	default:
		return errors.New("must be v2 or v1.0")
	}
	return nil
}

func (o *options) setAccessList(value string) error {
	o.accessList = nil
	for entry := range strings.SplitSeq(value, ",") {
		entry = strings.TrimSpace(entry)
		if !isAddressOrBlock(entry) {
			return fmt.Errorf("%q is not an address such as 192.0.2.10, nor a CIDR block such as 198.51.100.0/24", entry)
		}
		o.accessList = append(o.accessList, entry)
	}
	return nil
}

func isAddressOrBlock(entry string) bool {
	if address, err := netip.ParseAddr(entry); err == nil {
		return address.Zone() == ""
	}
	_, err := netip.ParsePrefix(entry)
	return err == nil
}

func configured(flags *flag.FlagSet) bool {
	found := false
	for _, name := range configuring.variables {
		found = found || os.Getenv(name) != ""
	}
	for _, name := range configuring.flags {
		flags.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	}
	return found
}

// check refuses what cannot work, and what would be ignored.
func (o *options) check() error {
	for _, c := range []struct {
		violated bool
		message  string
	}{
		{o.timeout < 0, "-timeout must not be negative"},
		{o.poll < 0, "-poll must not be negative"},
		{o.resume != "" && o.requestFile != "", "-resume goes on with a migration that was started: leave -request out"},
		{o.resume != "" && o.validateOnly, "-resume goes on with a migration that was started: leave -validate-only out"},
		{o.resume != "" && o.tokenFile != "" && !o.deleteLinkToken,
			"-resume creates no link-token: add -delete-link-token, which in the end deletes the one of -token-file, or leave -token-file out"},
		{o.onlyDeletes() && o.validateOnly, "-validate-only needs -request"},
		{o.validateOnly && o.deleteLinkToken, "-delete-link-token is for the end of a migration: leave -validate-only out"},
		{len(o.accessList) > 0 && o.deleteLinkToken,
			"-access-list is for a new link-token, and with -delete-link-token none is created: leave -access-list out"},
		{len(o.accessList) > 0 && o.tokenFile == "" && !o.demo, "-access-list is for a link-token: add -token-file"},
		{len(o.accessList) == 0 && o.tokenFile != "" && !o.deleteLinkToken && o.version == livemigration.APIv1 && !o.demo,
			"API v1.0 creates link-tokens with a list of addresses only: add -access-list"},
	} {
		if c.violated {
			return usagef("%s", c.message)
		}
	}
	if o.demo {
		return nil
	}
	if err := o.checkComplete(); err != nil {
		return err
	}
	return o.checkIDs()
}

// checkComplete names everything that is missing, in one line.
func (o *options) checkComplete() error {
	var missing []string
	require := func(absent bool, name string) {
		if absent {
			missing = append(missing, name)
		}
	}
	if _, err := livemigration.CredentialsFromEnv(); err != nil {
		missing = append(missing, text(err))
	}
	require(o.requestFile == "" && o.resume == "" && !o.deleteLinkToken, "-request (or -resume)")
	require(o.project == "" && !o.onlyDeletes(), "-project (or "+projectVariable+")")
	require(o.org == "" && (o.resume == "" || o.deleteLinkToken), "-org (or "+orgVariable+")")
	if len(missing) == 0 {
		return nil
	}
	return usagef("incomplete configuration, missing: %s; -h explains, and how to see a demonstration", strings.Join(missing, "; "))
}

func (o *options) checkIDs() error {
	for _, id := range []struct {
		flag  string
		value string
		err   error
	}{
		{"-org", string(o.org), o.org.Validate()},
		{"-project", string(o.project), o.project.Validate()},
		{"-resume", string(o.resume), o.resume.Validate()},
	} {
		if id.value != "" && id.err != nil {
			return usagef("%s: %s", id.flag, text(id.err))
		}
	}
	return nil
}

// onlyDeletes reports whether the run deletes the link-token and does nothing else.
func (o *options) onlyDeletes() bool {
	return o.deleteLinkToken && o.requestFile == "" && o.resume == ""
}

// asks is what the run asks about; empty: nothing.
func (o *options) asks() string {
	switch {
	case o.yes || o.validateOnly:
		return ""
	case o.onlyDeletes():
		return "the deletion of the link-token"
	default:
		return "the cutover"
	}
}

func (o *options) clientOptions(logger *slog.Logger) []livemigration.Option {
	opts := []livemigration.Option{
		livemigration.WithAPIVersion(o.version),
		livemigration.WithUserAgent("pushmigration-example/1.0"),
		livemigration.WithLogger(logger),
	}
	if o.baseURL != "" {
		opts = append(opts, livemigration.WithBaseURL(o.baseURL))
	}
	return opts
}

func (o *options) waitOptions(more ...livemigration.WaitOption) []livemigration.WaitOption {
	if o.poll > 0 {
		more = append(more, livemigration.WithPollInterval(o.poll, o.poll))
	}
	return more
}

// text is an error's message without the name of the library.
func text(err error) string { return strings.TrimPrefix(err.Error(), "livemigration: ") }
