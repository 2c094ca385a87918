package crash

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// How much the tests do.
const (
	pairs      = 1000 // random pairs of deaths in process
	kills      = 30   // of processes
	migrations = 60   // that the processes have to do
)

// The rows of the table, by the keys of their figures.
const (
	rowEveryPoint    = "every point"
	rowEveryPointDir = "every point, directory"
	rowPairs         = "pairs"
	rowKill          = "kill"
	rowNaive         = "without intents, every point"
	rowNaiveKill     = "without intents, kill"
	rowLateIntent    = "late intent"
)

// row is a row of the table. A figure that is not sure may differ from run to run.
type row struct {
	key, title                           string
	sureDeaths, sureMigrations, sureHarm bool
}

var rows = []row{
	{rowEveryPoint, "`durable`, 3 migrations, records in memory: a death at each event", false, false, true},
	{rowEveryPointDir, "`durable`, 1 migration, records in a directory: a death at each event", false, false, true},
	{rowPairs, fmt.Sprintf("`durable`, 3 migrations: %s random pairs of deaths, up to two hours without a program after each", decimal(pairs)), false, true, true},
	{rowKill, fmt.Sprintf("`durable`, %d migrations, records in a directory: %d × SIGKILL", migrations, kills), true, true, true},
	{rowNaive, "For comparison, a program that stores the id after `Create`, 3 migrations: a death at each event", false, false, false},
	{rowNaiveKill, fmt.Sprintf("The same program, %d migrations: %d × SIGKILL", migrations, kills), true, true, false},
	{rowLateIntent, "To test the test, `durable` on a store that writes the intent of a creation after its request: a death at each event", false, false, false},
}

const (
	sectionBegin = "<!-- crashes: begin. Written by \"go run -C test/crash ./cmd/crash -write ../../docs/internals/reliability.md\". Do not edit. -->\n"
	sectionEnd   = "<!-- crashes: end -->\n"
)

const sectionHead = `## Crashes

What is left when a program is killed, and started again with the same plans until all its migrations are COMPLETE.

- In process, a program dies at its k-th event, for every k. An event is: before a record is written, after it has been
  written, before a request is sent, after the server has carried the request out and before the response arrives. From
  then on nothing that the program does has an effect.
- As a process, a program is killed by SIGKILL at a random moment, soon after it has sent its first 1 to 24 requests. Ten
  migrations are under way at a time, and a response takes 20 ms, so that many creations are on their way when it dies.
- A person settles the records that are UNCLEAR: the in-memory Atlas says whether the job is there. If it is, the record
  adopts it; if it is not, the record is restarted.

| what is killed | deaths | migrations | jobs created | clusters migrated twice | ids lost | records lost | settled by a person | not COMPLETE |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
`

const sectionTail = `
Jobs are counted at the server. An id is lost when a job runs that no record names, and no record says that it may exist. A
record is lost when it is missing or older than one that had been stored. *About* marks what differs from run to run.

SIGKILL ends a program, not its machine: the tests do not cut the power. ` + "`durable.Dir`" + ` syncs each file and its directory.

` + "```console" + `
go test -C test/crash ./...                                                   # runs all of this
go run -C test/crash ./cmd/crash -write ../../docs/internals/reliability.md             # writes this section
go run -C test/crash ./cmd/crash -check ../../docs/internals/reliability.md             # fails if it is not current
go test -run TestFleetOutlivesAnHourOf ./durable                              # an hour each of 401, 403, 503 and resets: all COMPLETE
` + "```" + `
`

// Section is the section of the document about crashes, with the figures of each row. It is an error when some are missing.
func Section(figures map[string]Figures) (string, error) {
	var b strings.Builder
	b.WriteString(sectionBegin + sectionHead)
	for _, r := range rows {
		f, ok := figures[r.key]
		if !ok {
			return "", fmt.Errorf("there are no figures for %q", r.key)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", r.title,
			figure(f.Deaths, r.sureDeaths), figure(f.Clusters, r.sureMigrations), figure(f.Jobs, r.sureMigrations && r.sureHarm),
			figure(f.Twice, r.sureHarm), figure(f.Lost, r.sureHarm), figure(f.Writes, r.sureHarm),
			figure(f.Settled, false), figure(f.Unfinished, r.sureHarm))
	}
	b.WriteString(sectionTail + sectionEnd)
	return b.String(), nil
}

func figure(n int, sure bool) string {
	if sure || n == 0 {
		return decimal(n)
	}
	return "about " + decimal(n)
}

// decimal writes a number below a million as people do.
func decimal(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

// Update puts the section into a document, at its end when it is not there yet.
func Update(document, section string) (string, error) {
	before, old, after, err := split(document)
	switch {
	case err != nil:
		return "", err
	case old == "":
		return strings.TrimRight(document, "\n") + "\n\n" + section, nil
	default:
		return before + section + after, nil
	}
}

// Check returns an error that names the first line in which the section of a document is not current, but for figures that
// differ from run to run.
func Check(document, section string) error {
	_, old, _, err := split(document)
	switch {
	case err != nil:
		return err
	case old == "":
		return errors.New("there is no section about crashes")
	}
	have, want := strings.Split(steady(old), "\n"), strings.Split(steady(section), "\n")
	for i := range max(len(have), len(want)) {
		if h, w := line(have, i), line(want, i); h != w {
			return fmt.Errorf("the section about crashes is not current:\nhave: %s\nwant: %s", h, w)
		}
	}
	return nil
}

var unsteady = regexp.MustCompile(`about [0-9,]+`)

// steady takes out what differs from run to run.
func steady(section string) string { return unsteady.ReplaceAllString(section, "about N") }

func line(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(the end)"
}

// split finds the section in a document; it is empty when it is not there.
func split(document string) (before, section, after string, err error) {
	begin, end := strings.Index(document, sectionBegin), strings.Index(document, sectionEnd)
	switch {
	case begin < 0 && end < 0:
		return document, "", "", nil
	case begin < 0 || end < begin:
		return "", "", "", errors.New("the marks around the section about crashes are broken")
	}
	end += len(sectionEnd)
	return document[:begin], document[begin:end], document[end:], nil
}
