package benchmarks

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Functions returns the functions of this module that a program enters between NewClient and the end of its first
// Migrations.Create, with the credentials "key" or "token". The server is in this process, so that its functions do not
// count. A function is counted where its text is, whether the compiler has inlined it or not, and without the function
// literals in it. It has to run in the directory of this module.
func Functions(credentials string) ([]string, error) {
	dir, err := os.MkdirTemp("", "functions")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	s := new(server)
	url, _, stop := s.start(false)
	defer stop()
	program, counters := filepath.Join(dir, "firstcreate"), filepath.Join(dir, "counters")
	if err := os.Mkdir(counters, 0o755); err != nil {
		return nil, err
	}
	const module = "github.com/livemigration/livemigration-go"
	packages := strings.Join([]string{module, module + "/internal/...", "./firstcreate"}, ",") // counts nothing without the program itself
	for _, command := range [][]string{
		{"go", "build", "-cover", "-covermode=atomic", "-coverpkg=" + packages, "-o", program, "./firstcreate"},
		{program, url, credentials, counters},
	} {
		if output, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", command[0], err, output)
		}
	}
	report, err := exec.Command("go", "tool", "covdata", "func", "-i", counters).Output()
	if err != nil {
		return nil, fmt.Errorf("go tool covdata: %w", err)
	}
	var names []string
	for line := range strings.Lines(string(report)) { // file:line: name percent
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] != "total" && fields[2] != "0.0%" && !strings.Contains(fields[0], "firstcreate") {
			place := strings.TrimPrefix(fields[0], module+"/")
			names = append(names, place+" "+fields[1])
		}
	}
	if want := map[string]int64{"key": 2, "token": 1}[credentials]; s.requests.Load() != want {
		return nil, fmt.Errorf("the program made %d requests, not %d", s.requests.Load(), want)
	}
	return names, nil
}
