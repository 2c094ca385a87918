package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/livemigration/livemigration-go"
)

// rest says what a run that did not come to its end leaves behind, and how to go on.
func (r *runner) rest(err error) string {
	var b strings.Builder
	var unknown *livemigration.OutcomeUnknownError
	if errors.As(err, &unknown) {
		b.WriteString(r.unknownRest(unknown))
	}
	switch {
	case r.opts.demo:
		if r.running() {
			b.WriteString("The Atlas in memory ends with this program, and its migration too: there is nothing to resume.\n")
		}
	case r.running() && !errors.Is(err, livemigration.ErrNotFound):
		fmt.Fprintf(&b, "Migration %s goes on in Atlas. With the same credentials in the environment,\nthis goes on with it:\n\n  %s\n",
			r.migration, command(r.resumeArgs()))
		if r.linkToken {
			b.WriteString("\nThe link-token still exists, and has to until the migration is complete: that command then deletes it.\n")
		}
	case r.linkToken:
		b.WriteString(r.linkTokenRest())
	}
	return b.String()
}

// linkTokenRest is about a link-token that no migration of this run needs.
func (r *runner) linkTokenRest() string {
	return fmt.Sprintf("The link-token still exists. To use it for a further run, leave -token-file out and add -delete-link-token.\n"+
		"If nothing is to be migrated any more, this deletes it:\n\n  %s\n", command(r.deleteArgs()))
}

// unknownRest says what to look for by hand after a request whose outcome is unknown.
func (r *runner) unknownRest(unknown *livemigration.OutcomeUnknownError) string {
	switch {
	case r.running():
		return "The cutover may have begun. What follows finds out, and asks again if it has not.\n"
	case strings.HasSuffix(unknown.Path, "/linkTokens"):
		return fmt.Sprintf("Check by hand, in Atlas, whether organization %s has a link-token now. If so, delete it before you try again:\n\n  %s\n",
			r.opts.org, command(r.deleteArgs()))
	default:
		return fmt.Sprintf("Check by hand, in Atlas, whether cluster %s of project %s is the destination of a live migration now:\n"+
			"  - If so, take its id from there and go on with it: %s\n"+
			"  - If not, nothing was started, and the same command may be run again.\n"+
			"Do not start it again before you know: Atlas would run two migrations.\n",
			r.request.Destination.ClusterName, r.opts.project, command(append(r.resumeArgs(), "-resume", "ID")))
	}
}

// resumeArgs are the arguments with which another run goes on with the migration.
func (r *runner) resumeArgs() []string {
	args := append(r.connectionArgs(), "-project", string(r.opts.project))
	if r.migration != "" {
		args = append(args, "-resume", string(r.migration))
	}
	if r.linkToken {
		args = append(args, "-org", string(r.opts.org), "-delete-link-token")
	}
	if r.opts.yes {
		args = append(args, "-yes")
	}
	if r.opts.timeout > 0 {
		args = append(args, "-timeout", r.opts.timeout.String())
	}
	if r.opts.poll > 0 {
		args = append(args, "-poll", r.opts.poll.String())
	}
	if r.opts.debugLog != "" {
		args = append(args, "-debug-log", r.opts.debugLog)
	}
	return args
}

// deleteArgs are the arguments with which another run deletes the link-token.
func (r *runner) deleteArgs() []string {
	return append(r.connectionArgs(), "-org", string(r.opts.org), "-delete-link-token")
}

func (r *runner) connectionArgs() []string {
	var args []string
	if r.opts.baseURL != "" {
		args = append(args, "-base-url", r.opts.baseURL)
	}
	if r.opts.version != livemigration.APIv2 {
		args = append(args, "-api-version", r.opts.version.String())
	}
	return args
}

// command is a line for a shell that runs this program with other arguments.
func command(args []string) string {
	words := append(program(), args...)
	for i, word := range words {
		words[i] = quote(word)
	}
	return strings.Join(words, " ")
}

// program is how this program was called. What go run builds is gone when it ends.
func program() []string {
	path := filepath.ToSlash(os.Args[0])
	info, ok := debug.ReadBuildInfo()
	if !ok || !strings.Contains(path, "/go-build") || !strings.Contains(path, "/exe/") {
		return []string{os.Args[0]}
	}
	words := []string{"go", "run"}
	if dir, err := os.Getwd(); err == nil {
		words = append(words, "-C", dir)
	}
	return append(words, info.Path)
}

// quote makes a word that a POSIX shell takes as it is.
func quote(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@%+,"
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
