package crash

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// The titles of the rows in the document.
var (
	rowEveryPoint    = "`durable`, 3 migrations, records in memory: a death at each event"
	rowEveryPointDir = "`durable`, 1 migration, records in a directory: a death at each event"
	rowPairs         = fmt.Sprintf("`durable`, 3 migrations: %d random pairs of deaths, up to two hours without a program after each", pairs)
	rowKill          = fmt.Sprintf("`durable`, %d migrations, records in a directory: %d × SIGKILL", migrations, kills)
	rowNaive         = "For comparison, a program that stores the ID after `Create`, 3 migrations: a death at each event"
	rowNaiveKill     = fmt.Sprintf("The same program, %d migrations: %d × SIGKILL", migrations, kills)
	rowLateIntent    = "To test the test, `durable` on a store that writes each intent after its create request: a death at each event"

	rows = []string{rowEveryPoint, rowEveryPointDir, rowPairs, rowKill, rowNaive, rowNaiveKill, rowLateIntent}
)

const document = "../../docs/internals/reliability.md"

const (
	sectionBegin = "<!-- crashes: begin. Written by \"go test -C test/crash . -write\". Do not edit. -->\n"
	sectionEnd   = "<!-- crashes: end -->\n"
)

const sectionHead = `## Crashes

These tests kill programs that migrate, and start them again with the same plans until all their migrations are ` + "`COMPLETE`" + `.

- In process, on virtual time: a program dies at its k-th event, for every k. The events are: a record is about to be
  written; it has been written; a request is about to be sent; the server has processed it, and the response is in flight.
  After its death, nothing that the program does has an effect.
- As a process: SIGKILL at a random moment, soon after the process has sent its first 1 to 24 requests. Ten migrations are
  in progress at a time and a response takes 20 ms, so many create requests are in flight when the process dies.
- A person settles each ` + "`UNCLEAR`" + ` record. If the in-memory Atlas has its migration, the record adopts it. If not, the record
  is restarted.

| what is killed | deaths | migrations | created in Atlas | clusters migrated twice | IDs lost | records lost | settled by a person | not COMPLETE |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
`

const sectionTail = `
The ID of a migration is lost when no record names it and no record says that it may exist. A record is lost when it is
missing, or older than one that was stored. Figures above 0 may differ from run to run.

SIGKILL ends a program, not its machine: the tests do not cut the power. ` + "`durable.Dir`" + ` syncs each file and its directory.

` + "```console" + `
go test -C test/crash ./...                       # runs all of this, and fails if this section is not current
go test -C test/crash . -write                    # writes this section
go test -run TestFleetOutlivesAnHourOf ./durable  # an hour each of 401, 403, 503 and resets: all COMPLETE
` + "```" + `
`

// section is the section of the document, with the figures of each row.
func section(measured map[string]figures) string {
	var b strings.Builder
	b.WriteString(sectionBegin + sectionHead)
	for _, title := range rows {
		f := measured[title]
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d | %d | %d |\n",
			title, f.Deaths, f.Clusters, f.Jobs, f.Twice, f.Lost, f.Writes, f.Settled, f.Unfinished)
	}
	b.WriteString(sectionTail + sectionEnd)
	return b.String()
}

// updateDocument writes the section into the document, or checks that the document has it.
func updateDocument(section string, write bool) error {
	old, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	text := string(old)
	begin, end := strings.Index(text, "<!-- crashes: begin"), strings.Index(text, sectionEnd)
	if begin < 0 || end < begin {
		return fmt.Errorf("%s: the marks around the section about crashes are missing", document)
	}
	updated := text[:begin] + section + text[end+len(sectionEnd):]
	switch {
	case write:
		return os.WriteFile(document, []byte(updated), 0o644)
	case steady(text) != steady(updated):
		return errors.New(document + `: the section about crashes is not current. Write it with "go test -C test/crash . -write"`)
	default:
		return nil
	}
}

var unsteady = regexp.MustCompile(`\| [1-9][0-9]*\b`)

// steady takes out what differs from run to run: figures above 0.
func steady(text string) string { return unsteady.ReplaceAllString(text, "| N") }
