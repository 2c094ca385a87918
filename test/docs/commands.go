package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// quoted is text that the shell hands on as it is.
var quoted = regexp.MustCompile(`'[^']*'`)

const modulePath = "github.com/livemigration/livemigration-go"

// checkCommands reports commands that name a directory or a file which does not exist: the ones in blocks for a shell and
// between backticks.
func checkCommands(root string, d *document, report func(int, string, ...any)) {
	for _, code := range d.code {
		checkCommand(root, code, report)
	}
	for _, b := range d.blocks {
		if b.language != "console" && b.language != "sh" {
			continue
		}
		for i, line := range strings.Split(b.text, "\n") {
			line, _, _ = strings.Cut(line, " #")
			checkCommand(root, span{line, b.line + i}, report)
		}
	}
}

// checkCommand reads one line, in which several commands may stand.
func checkCommand(root string, line span, report func(int, string, ...any)) {
	var words []string
	end := func() {
		if len(words) > 1 {
			checkWords(root, words, func(format string, args ...any) { report(line.line, format, args...) })
		}
		words = nil
	}
	for _, word := range strings.Fields(quoted.ReplaceAllString(line.text, "''")) {
		switch word {
		case "&&", "||", "|", ";", "&", `\|`:
			end()
		default:
			words = append(words, strings.TrimSuffix(word, ";"))
		}
	}
	end()
}

func checkWords(root string, words []string, report func(string, ...any)) {
	switch {
	case words[0] == "bash" && strings.Contains(words[1], "/"):
		checkPath(root, ".", words[1], report)
	case words[0] == "go" && (words[1] == "run" || words[1] == "test" || words[1] == "build" || words[1] == "vet"):
		checkGo(root, words[2:], report)
	}
}

// checkGo checks the packages and files that the arguments of a go command name.
func checkGo(root string, args []string, report func(string, ...any)) {
	directory := "."
	if len(args) > 1 && args[0] == "-C" {
		directory, args = args[1], args[2:]
		if _, err := os.Stat(filepath.Join(root, directory, "go.mod")); err != nil {
			report("there is no module in %s", directory)
			return
		}
	}
	for _, arg := range args {
		switch {
		case arg == "go": // a command that the program runs, in its own directory
			return
		case strings.HasPrefix(arg, modulePath+"/"):
			checkPath(root, ".", strings.TrimPrefix(arg, modulePath+"/"), report)
		case strings.HasPrefix(arg, "./") || strings.HasPrefix(arg, "../"):
			checkPath(root, directory, arg, report)
		}
	}
}

func checkPath(root, directory, path string, report func(string, ...any)) {
	path, _, _ = strings.Cut(path, "...")
	if _, err := os.Stat(filepath.Join(root, directory, path)); err != nil {
		report("there is no %s in %s", path, directory)
	}
}
