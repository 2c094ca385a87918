package faultmatrix

import (
	"fmt"
	"slices"
	"strings"
)

// documentHead is what a reader has to know before the tables.
const documentHead = `# The fault matrix

<!-- Written by "go test -C test/faultmatrix -run Document -write". Do not edit. -->

What each call of the library returns when something goes wrong: every operation × every fault × the attempts that the
fault strikes. The tests of ` + "`test/faultmatrix`" + ` run each cell: on virtual time, over connections in memory. An operation of each class they
also run over HTTPS, after another call, through a transport of the user's, with a service account, and in version 1 of the
API. Each cell must be as this table says. The table follows from the
rules below, and not from what the code does.

` + "```console" + `
go test -C test/faultmatrix ./...                    # runs the matrix, and fails if this file is not current
go test -C test/faultmatrix -run Document -write     # writes this file
` + "```" + `

## How to read it

A row is a fault. A column is one or several operations that have the same cells. There are three tables for clients with
an API key, and three for clients with a service account: the fault strikes the first attempt, the second one (the first
is rejected with 429, which is retried), or every attempt. A call makes up to %d attempts.

- *Handshake* is a request without credentials, with which the client asks for the challenge of HTTP Digest.
- *Token request* is the request with which a service account asks for its access token, POST /api/oauth/token.
- *Inside a 200* means that the status is a success and the body is an error of Atlas. *In an envelope* means that the call
  asks for one with ` + "`WithEnvelope`" + `.
- *Goes dead* means that the connection stays open and swallows what is sent on it, as after a NAT has forgotten it. The
  next attempt uses another connection.
- *Carried out* means that Atlas did what the request asks for, although its response says otherwise or is lost.

What happens to the operation's own request has the same outcome with both kinds of credentials. The tests check that.
So the tables of service accounts are about tokens only. The operations of ` + "`MigrationLink`" + ` are those of the source
side, where there are API keys only.

A cell has three parts, and a fourth one for service accounts, such as ` + "`ok · 2 · +1`" + `:

1. **What the call returns**, see below.
2. **How many authenticated requests arrived.** ` + "`1/2`" + `: one request, in two attempts.
3. **What has changed:** the number of jobs, link-tokens or links that the call has created; ` + "`−1`" + ` for what it has deleted; for a cutover ` + "`+1`" + ` when the migration is cut over. For operations that read it is always ` + "`0`" + `.
4. **How many requests for a token arrived.**

| result | the error |
| --- | --- |
| ok | none, and the result is right: a creation returns the id of the job that it has created last |
| 404, 503, … | an ` + "`*APIError`" + ` with this status |
| **unknown**: … | an ` + "`*OutcomeUnknownError`" + ` around what follows the colon. For a creation ` + "`MayHaveCreated`" + ` is true |
| broken | the connection was closed or reset, or ended in the middle of the response |
| refused, no host | the dial failed: nobody listens, or the name is unknown |
| timeout | the time for the last attempt has passed (` + "`WithAttemptTimeout`" + `) |
| deadline, cancelled | the context's own error; with a status in brackets, also the ` + "`*APIError`" + ` of the attempt before |
| TLS, certificate | TLS failed; the certificate is not trusted (` + "`*tls.CertificateVerificationError`" + `) |
| not HTTP, endless head | what arrived is not the head of an HTTP response; the head has no end |
| body | the status is a success, and the body cannot be used |

In no cell does a call outlive its context, or leave a connection or a goroutine behind.

## The rules

| what the fault does to an attempt | | reading, validating, deleting, cutting over | creating a migration, a link-token, or the link of a source organization |
| --- | --- | --- | --- |
`

const documentRules = `
A call ends after %d attempts with the error of the last one. In addition:

- An attempt may have deleted the link-token or the link, and the next one ends in 404: it has been deleted, **ok**.
- An attempt may have cut over, and the call ends with a 4xx: **unknown**, around that error.
- Without an access token nothing is sent, whatever the operation is. So the outcome is never **unknown**, and an
  ` + "`*APIError`" + ` is then about POST /api/oauth/token.
- Deleting and cutting over have a response without content. Once the status has arrived, a lost body changes nothing.
  A body that has arrived and is not JSON does: such a response is not from Atlas.
`

// Document is the matrix in Markdown.
func Document() string {
	var b strings.Builder
	fmt.Fprintf(&b, documentHead, maxAttempts)
	for _, r := range rules {
		others, creating := string(r.others), string(r.creating)
		if r.effect == harmless {
			others, creating = "ok", "ok"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.title, r.meaning, others, creating)
	}
	fmt.Fprintf(&b, documentRules, maxAttempts)
	notes := &footnotes{}
	writeTables(&b, "The fault", keyFaults(), notes)
	writeTables(&b, "Service accounts: the fault", accountFaults(), notes)
	b.WriteString("\n## Notes\n\n")
	for i, text := range notes.texts {
		fmt.Fprintf(&b, "%d. %s\n", i+1, text)
	}
	return b.String()
}

// columns puts operations together that have the same cells for all of the faults.
func columns(faults []*Fault) [][]*Operation {
	var columns [][]*Operation
	for _, op := range faults[0].operations() {
		i := slices.IndexFunc(columns, func(column []*Operation) bool { return sameCells(faults, column[0], op) })
		if i < 0 {
			columns = append(columns, []*Operation{op})
			continue
		}
		columns[i] = append(columns[i], op)
	}
	return columns
}

func sameCells(faults []*Fault, a, b *Operation) bool {
	for _, f := range faults {
		for _, s := range AllStrikes {
			if Expect(Cell{a, f, s}) != Expect(Cell{b, f, s}) {
				return false
			}
		}
	}
	return true
}

// writeTables writes a table for each part of the matrix.
func writeTables(b *strings.Builder, title string, faults []*Fault, notes *footnotes) {
	columns := columns(faults)
	for _, s := range AllStrikes {
		fmt.Fprintf(b, "\n## %s strikes %s\n\n", title, s)
		writeTable(b, s, faults, columns, notes)
	}
}

func writeTable(b *strings.Builder, s Strikes, faults []*Fault, columns [][]*Operation, notes *footnotes) {
	b.WriteString("| fault |")
	for _, column := range columns {
		names := make([]string, len(column))
		for i, op := range column {
			names[i] = "`" + string(op.Name) + "`"
		}
		b.WriteString(" " + strings.Join(names, ", ") + " |")
	}
	b.WriteString("\n|" + strings.Repeat(" --- |", len(columns)+1) + "\n")
	var group effect
	for _, f := range faults {
		if f.effect != group {
			group = f.effect
			fmt.Fprintf(b, "| **%s** |%s\n", ruleFor(group).title, strings.Repeat(" |", len(columns)))
		}
		b.WriteString("| " + f.Name + " |")
		for _, column := range columns {
			e := Expect(Cell{column[0], f, s})
			b.WriteString(" " + e.String() + notes.mark(e.exception) + " |")
		}
		b.WriteString("\n")
	}
}

// footnotes number the reasons of exceptions in the order in which they are met.
type footnotes struct{ texts []string }

func (n *footnotes) mark(x *exception) string {
	if x == nil {
		return ""
	}
	i := slices.Index(n.texts, x.reason)
	if i < 0 {
		i = len(n.texts)
		n.texts = append(n.texts, x.reason)
	}
	return fmt.Sprintf(" [%d](#notes)", i+1)
}
