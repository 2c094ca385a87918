package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

// columns are the columns of a CSV file, in any order. The first line names them. The first six must be there.
var columns = []struct {
	name, help string
	field      func(*durable.Plan) any
}{
	{"name", "name of the plan, unique", func(p *durable.Plan) any { return &p.Name }},
	{"project", "ID of the destination project", func(p *durable.Plan) any { return &p.ProjectID }},
	{"source_project", "ID of the source project", func(p *durable.Plan) any { return &p.Request.Source.ProjectID }},
	{"source_cluster", "name of the source cluster", func(p *durable.Plan) any { return &p.Request.Source.ClusterName }},
	{"destination_cluster", "name of the destination cluster", func(p *durable.Plan) any { return &p.Request.Destination.ClusterName }},
	{"host", "migration host", func(p *durable.Plan) any { return &p.Request.MigrationHosts }},
	{"username", "user at the source; the password is in SOURCE_PASSWORD_NAME, or in SOURCE_PASSWORD",
		func(p *durable.Plan) any { return &p.Request.Source.Username }},
	{"managed", "yes: Cloud Manager or Ops Manager manages the users",
		func(p *durable.Plan) any { return &p.Request.Source.ManagedAuthentication }},
	{"ssl", "yes: the source uses TLS", func(p *durable.Plan) any { return &p.Request.Source.SSL }},
	{"ca_path", "path of a CA certificate on the migration host", func(p *durable.Plan) any { return &p.Request.Source.CACertificatePath }},
	{"drop", "yes: delete the data of the destination first", func(p *durable.Plan) any { return &p.Request.DropDestinationData }},
	{"hostname_schema", "PUBLIC (default), PRIVATE_LINK or VPC_PEERING",
		func(p *durable.Plan) any { return &p.Request.Destination.HostnameSchemaType }},
	{"private_link", "ID of the private endpoint, for PRIVATE_LINK",
		func(p *durable.Plan) any { return &p.Request.Destination.PrivateLinkID }},
	{"exclusive", "what serves one migration at a time, separated by semicolons, such as the source organization",
		func(p *durable.Plan) any { return &p.Exclusive }},
	{"hold_start", "yes: validate, and start after the command approve -gate start", func(p *durable.Plan) any { return &p.HoldStart }},
	{"parallel", "yes: at the same time as other clusters of the source project", func(p *durable.Plan) any { return &p.Parallel }},
}

const neededColumns = 6

// planFiles is what the help says about files of plans.
func planFiles() string {
	var b strings.Builder
	b.WriteString("A file whose name ends in .json is an array of plans, in the form of durable.Plan. Every other file is CSV.\n")
	fmt.Fprintf(&b, "Its first line names the columns. The first %d of these are needed:\n\n", neededColumns)
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, c := range columns {
		_, _ = fmt.Fprintf(table, "%s\t%s\n", c.name, c.help) // a strings.Builder has no errors
	}
	_ = table.Flush()
	return strings.TrimSpace(b.String())
}

// readPlans reads files of plans: JSON by the ending of the name, else CSV.
func readPlans(files []string) (plans []durable.Plan, err error) {
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		read := readCSV
		if strings.HasSuffix(strings.ToLower(path), ".json") {
			read = readJSON
		}
		more, err := read(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		plans = append(plans, more...)
	}
	return plans, nil
}

func readJSON(text string) (plans []durable.Plan, err error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err = decoder.Decode(&plans); err == nil && decoder.More() {
		err = errors.New("there is something after it")
	}
	if err != nil {
		return nil, fmt.Errorf("must be an array of plans: %w", err)
	}
	return plans, nil
}

func readCSV(text string) (plans []durable.Plan, err error) {
	reader := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\ufeff"))) // which Excel writes
	reader.TrimLeadingSpace = true
	head, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("must begin with a line of column names: %w", err)
	}
	fields, err := readHead(head)
	if err != nil {
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
			if err := set(fields[i](&plan), strings.TrimSpace(value)); err != nil {
				line, _ := reader.FieldPos(i)
				return nil, fmt.Errorf("line %d, column %s: %w", line, head[i], err)
			}
		}
		plans = append(plans, plan)
	}
}

// readHead returns the field for each column of a file.
func readHead(head []string) (fields []func(*durable.Plan) any, err error) {
	var known, seen []string
	for _, c := range columns {
		known = append(known, c.name)
	}
	for _, text := range head {
		name := strings.ToLower(strings.TrimSpace(text))
		i := slices.Index(known, name)
		if i < 0 {
			return nil, fmt.Errorf("unknown column %q, must be one of %s", text, strings.Join(known, ", "))
		}
		if slices.Contains(seen, name) {
			return nil, fmt.Errorf("there are two columns %q", text)
		}
		seen, fields = append(seen, name), append(fields, columns[i].field)
	}
	for _, name := range known[:neededColumns] {
		if !slices.Contains(seen, name) {
			return nil, fmt.Errorf("the column %q is missing", name)
		}
	}
	return fields, nil
}

// set reads a value that is not empty. What is missing, Add says.
func set(field any, value string) (err error) {
	if value == "" {
		return nil
	}
	switch field := field.(type) {
	case *string:
		*field = value
	case *livemigration.HostnameSchemaType:
		*field = livemigration.HostnameSchemaType(value)
	case *livemigration.ProjectID:
		*field, err = livemigration.ParseProjectID(value)
	case *[]string:
		*field = strings.Split(value, ";")
	case *bool:
		if *field = strings.EqualFold(value, "yes"); !*field && !strings.EqualFold(value, "no") {
			err = fmt.Errorf("%q must be yes or no", value)
		}
	}
	return err
}
