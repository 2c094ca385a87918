package main

import (
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go"
)

// The environment variables beside those of Atlas's own tools, which the library reads.
const (
	orgVariable        = "MONGODB_ATLAS_ORG_ID"
	projectVariable    = "MONGODB_ATLAS_PROJECT_ID"
	passwordVariable   = "SOURCE_PASSWORD"
	sourceURLVariable  = "SOURCE_BASE_URL"
	sourceOrgVariable  = "SOURCE_ORG_ID"
	sourceKeyVariable  = "SOURCE_PUBLIC_API_KEY"
	sourcePrivVariable = "SOURCE_PRIVATE_API_KEY"
)

// options are what the command line and the environment ask for.
type options struct {
	demo bool // nothing is configured

	state   string
	baseURL string
	version livemigration.APIVersion
	org     livemigration.OrgID
	project livemigration.ProjectID

	requestFile string
	link        bool
	accessList  []string
	sourceURL   string
	sourceOrg   livemigration.OrgID

	yes      bool
	poll     time.Duration // 0: the library's default
	debugLog string

	adopt            string
	restart, abandon bool
}

const usage = `pushmigration carries a push live migration through, from Cloud
Manager or Ops Manager to Atlas.

With nothing configured it shows a whole migration on the in-memory
Atlas, which takes about 15 seconds:

  pushmigration -yes

A real one. The same command again continues where it was, after
Ctrl-C, kill -9 or a reboot:

  pushmigration -request FILE [-link] [-state DIR]

Credentials and base URL of Atlas come from the variables of Atlas's
own tools: MONGODB_ATLAS_ACCESS_TOKEN, or MONGODB_ATLAS_CLIENT_ID and
_CLIENT_SECRET, or MONGODB_ATLAS_PUBLIC_API_KEY and _PRIVATE_API_KEY,
and MONGODB_ATLAS_BASE_URL.

  -request FILE    the migration as JSON, in the form of the body of
                   API v2; unknown fields are rejected. The password
                   of the source comes from $SOURCE_PASSWORD, from
                   FILE, or from the terminal; it is stored nowhere
  -project ID      the destination project
                   (default $MONGODB_ATLAS_PROJECT_ID)
  -org ID          the Atlas organization
                   (default $MONGODB_ATLAS_ORG_ID)
  -state DIR       where the state is kept, one directory for each
                   migration (default pushmigration-state; in the
                   demonstration a temporary one)
  -link            create a link-token and connect the source
                   organization; the link-token is deleted at the
                   end. Without -link the source organization has to
                   be connected already. With SOURCE_PUBLIC_API_KEY
                   and SOURCE_PRIVATE_API_KEY the program connects
                   the organization -source-org itself; without them
                   it writes the link-token to DIR/link-token and
                   waits until you have pasted it into Cloud Manager
                   or Ops Manager
  -access-list L   addresses and CIDR blocks, separated by commas,
                   that may use the link-token
  -source-org ID   the source organization (default $SOURCE_ORG_ID)
  -source-url URL  its Ops Manager (default $SOURCE_BASE_URL, or
                   Cloud Manager)
  -base-url URL    Atlas, as scheme and host
  -api-version V   v2, or v1.0 for the legacy API
  -yes             do not ask before destination data are dropped and
                   before the cutover; required without a terminal
  -poll D          look at the job every D (default: after 5s at
                   first, then ever more rarely, up to every 1m)
  -debug-log FILE  append what the client does to FILE (mode 0600);
                   no secret is in it

If it is not known whether Atlas has started the migration, or if it
has failed, a person looks in Atlas and settles it:

  -adopt ID        this migration in Atlas is the one
  -restart         there is none: start from the beginning, with
                   FILE as it is now
  -abandon         leave it alone, whatever it is

Exit status: 0 done, 1 failed or not confirmed, 2 wrong usage, 3 it is
not known whether the migration was started, 130 interrupted.
`

// parseOptions reads the command line and the environment. The error is [flag.ErrHelp] or a usage failure.
func parseOptions(args []string) (*options, error) {
	o := &options{version: livemigration.APIv2}
	flags := flag.NewFlagSet("pushmigration", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.state, "state", "", "")
	flags.StringVar(&o.baseURL, "base-url", "", "")
	flags.StringVar(&o.requestFile, "request", "", "")
	flags.BoolVar(&o.link, "link", false, "")
	flags.StringVar(&o.sourceURL, "source-url", os.Getenv(sourceURLVariable), "")
	flags.BoolVar(&o.yes, "yes", false, "")
	flags.DurationVar(&o.poll, "poll", 0, "")
	flags.StringVar(&o.debugLog, "debug-log", "", "")
	flags.StringVar(&o.adopt, "adopt", "", "")
	flags.BoolVar(&o.restart, "restart", false, "")
	flags.BoolVar(&o.abandon, "abandon", false, "")
	org := flags.String("org", os.Getenv(orgVariable), "")
	project := flags.String("project", os.Getenv(projectVariable), "")
	sourceOrg := flags.String("source-org", os.Getenv(sourceOrgVariable), "")
	flags.Func("api-version", "", func(text string) (err error) {
		o.version, err = livemigration.ParseAPIVersion(text)
		return err
	})
	flags.Func("access-list", "", func(text string) error {
		o.accessList = strings.Split(text, ",")
		return nil
	})
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, usagef("%s; -h shows what there is", text(err))
	}
	if flags.NArg() > 0 {
		return nil, usagef("unexpected argument %q: everything is a flag; -h shows what there is", flags.Arg(0))
	}
	_, noCredentials := livemigration.CredentialsFromEnv()
	asked := false
	flags.Visit(func(f *flag.Flag) { asked = asked || f.Name != "yes" && f.Name != "state" && f.Name != "debug-log" })
	if o.demo = !asked && noCredentials != nil && *org == "" && *project == ""; o.demo {
		return o, nil
	}
	return o, o.check(noCredentials, *org, *project, *sourceOrg)
}

// check names everything that is missing or wrong, in one line.
func (o *options) check(noCredentials error, org, project, sourceOrg string) error {
	var wrong []string
	reject := func(bad bool, what string) {
		if bad {
			wrong = append(wrong, what)
		}
	}
	id := func(flag string, err error) {
		reject(err != nil, flag+": "+text(err))
	}
	var err error
	reject(noCredentials != nil, text(noCredentials))
	reject(o.requestFile == "", "-request is missing")
	reject(o.poll < 0, "-poll must not be negative")
	o.project, err = livemigration.ParseProjectID(project)
	id("-project or $"+projectVariable, err)
	o.org, err = livemigration.ParseOrgID(org)
	id("-org or $"+orgVariable, err)
	if o.link && os.Getenv(sourceKeyVariable) != "" {
		o.sourceOrg, err = livemigration.ParseOrgID(sourceOrg)
		id("-source-org or $"+sourceOrgVariable, err)
	}
	settled := 0
	for _, given := range []bool{o.adopt != "", o.restart, o.abandon} {
		if given {
			settled++
		}
	}
	reject(settled > 1, "of -adopt, -restart and -abandon only one can be given")
	if o.state == "" {
		o.state = "pushmigration-state"
	}
	if len(wrong) > 0 {
		return usagef("%s; -h shows what there is", strings.Join(wrong, "; "))
	}
	return nil
}

// loadRequest reads a request file, and takes its password out. Unknown fields are rejected: a misspelled
// dropDestinationData must not go unnoticed.
func loadRequest(opts *options) (req livemigration.MigrationRequest, password livemigration.Secret, err error) {
	data, err := os.ReadFile(opts.requestFile)
	if err != nil {
		return req, "", usagef("-request: %s", err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.DisallowUnknownFields()
	if err = decoder.Decode(&req); err == nil && decoder.More() {
		err = errors.New("there is something after the JSON object")
	}
	if err != nil {
		return req, "", usagef("-request %s: %s", opts.requestFile, err)
	}
	password = req.Source.Password
	if fromEnv := os.Getenv(passwordVariable); fromEnv != "" {
		password = livemigration.Secret(fromEnv)
	}
	if id := req.Destination.ProjectID; id != "" && id != opts.project {
		return req, "", usagef("-request %s: destination.groupId is not the project of -project", opts.requestFile)
	}
	req.Source.Password = ""
	return req, password, nil
}

// text is an error's message without the name of the library, empty for nil.
func text(err error) string {
	if err == nil {
		return ""
	}
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "livemigration: "), "durable: ")
}
