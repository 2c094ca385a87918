package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

// readPlans reads files of plans: JSON by the ending of the name, else CSV.
func readPlans(files []string) (plans []durable.Plan, err error) {
	for _, path := range files {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		read := readCSV
		if strings.EqualFold(filepath.Ext(path), ".json") {
			read = readJSON
		}
		more, err := read(file)
		_ = file.Close() // it was only read
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		plans = append(plans, more...)
	}
	return plans, nil
}

// readJSON reads an array of plans, in the form that durable.Plan has in JSON.
func readJSON(in io.Reader) (plans []durable.Plan, err error) {
	decoder := json.NewDecoder(in)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&plans); err != nil {
		return nil, fmt.Errorf("must be an array of plans: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("must end after the array of plans")
	}
	return plans, nil
}

// planFiles is what the help says about files of plans.
const planFiles = `A file whose name ends in .json is an array of plans, in the form of
durable.Plan. Every other file is CSV. Its first line names the columns, in
any order.

Needed:
  name                 of the plan, unique
  project              ID of the destination project
  source_project       ID of the source project
  source_cluster       name of the source cluster
  destination_cluster  name of the destination cluster
  host                 migration host

May be left out, or be empty:
  username             user at the source; the password is in the variable
                       SOURCE_PASSWORD_NAME, or in SOURCE_PASSWORD
  managed              yes: Cloud Manager or Ops Manager manages the users
  ssl                  yes: the source uses TLS
  ca_path              path of a CA certificate on the migration host
  drop                 yes: destroy the data of the destination first
  hostname_schema      PUBLIC (default), PRIVATE_LINK or VPC_PEERING
  private_link         ID of the private endpoint, for PRIVATE_LINK
  exclusive            what serves one migration at a time, separated by
                       semicolons. Put the ID of the source organization
                       here where it has several projects
  hold_start           yes: validate only, and wait for the command approve
                       -gate start
  parallel             yes: migrate at the same time as other clusters of
                       the source project`

// columns are the columns of a CSV file, in any order. The first line names them; all but the needed ones may be left out.
var columns = map[string]func(*durable.Plan, string) error{
	"name": func(p *durable.Plan, v string) error { p.Name = v; return nil },
	"project": func(p *durable.Plan, v string) (err error) {
		p.ProjectID, err = livemigration.ParseProjectID(v)
		return err
	},
	"source_project": func(p *durable.Plan, v string) (err error) {
		p.Request.Source.ProjectID, err = livemigration.ParseProjectID(v)
		return err
	},
	"source_cluster":      func(p *durable.Plan, v string) error { p.Request.Source.ClusterName = v; return nil },
	"destination_cluster": func(p *durable.Plan, v string) error { p.Request.Destination.ClusterName = v; return nil },
	"host":                func(p *durable.Plan, v string) error { p.Request.MigrationHosts = []string{v}; return nil },
	"username":            func(p *durable.Plan, v string) error { p.Request.Source.Username = v; return nil },
	"managed":             func(p *durable.Plan, v string) error { return parseBool(v, &p.Request.Source.ManagedAuthentication) },
	"ssl":                 func(p *durable.Plan, v string) error { return parseBool(v, &p.Request.Source.SSL) },
	"ca_path":             func(p *durable.Plan, v string) error { p.Request.Source.CACertificatePath = v; return nil },
	"drop":                func(p *durable.Plan, v string) error { return parseBool(v, &p.Request.DropDestinationData) },
	"hostname_schema": func(p *durable.Plan, v string) error {
		p.Request.Destination.HostnameSchemaType = livemigration.HostnameSchemaType(v)
		return nil
	},
	"private_link": func(p *durable.Plan, v string) error { p.Request.Destination.PrivateLinkID = v; return nil },
	"exclusive":    func(p *durable.Plan, v string) error { p.Exclusive = strings.Split(v, ";"); return nil },
	"hold_start":   func(p *durable.Plan, v string) error { return parseBool(v, &p.HoldStart) },
	"parallel":     func(p *durable.Plan, v string) error { return parseBool(v, &p.Parallel) },
}

// needed are the columns that every file must have.
var needed = []string{"name", "project", "source_project", "source_cluster", "destination_cluster", "host"}

func readCSV(in io.Reader) (plans []durable.Plan, err error) {
	reader := csv.NewReader(in)
	reader.TrimLeadingSpace = true
	head, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("must begin with a line of column names: %w", err)
	}
	head[0] = strings.TrimPrefix(head[0], "\ufeff") // which Excel writes
	if err := checkHead(head); err != nil {
		return nil, err
	}
	for {
		row, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return plans, nil
		}
		if err != nil {
			return nil, err
		}
		var plan durable.Plan
		for i, value := range row {
			value = strings.TrimSpace(value)
			if value == "" {
				continue // the default; Add names what is missing
			}
			if err := columns[head[i]](&plan, value); err != nil {
				line, _ := reader.FieldPos(i)
				return nil, fmt.Errorf("line %d, column %s: %w", line, head[i], err)
			}
		}
		plans = append(plans, plan)
	}
}

func checkHead(head []string) error {
	for i, name := range head {
		head[i] = strings.ToLower(strings.TrimSpace(name))
		if columns[head[i]] == nil {
			known := make([]string, 0, len(columns))
			for name := range columns {
				known = append(known, name)
			}
			slices.Sort(known)
			return fmt.Errorf("unknown column %q, must be one of %s", name, strings.Join(known, ", "))
		}
		if slices.Contains(head[:i], head[i]) {
			return fmt.Errorf("there are two columns %q", name)
		}
	}
	for _, name := range needed {
		if !slices.Contains(head, name) {
			return fmt.Errorf("the column %q is missing", name)
		}
	}
	return nil
}

func parseBool(text string, into *bool) (err error) {
	switch strings.ToLower(text) {
	case "yes":
		*into = true
	case "no":
		*into = false
	default:
		if *into, err = strconv.ParseBool(text); err != nil {
			return fmt.Errorf("%q must be yes or no", text)
		}
	}
	return nil
}
