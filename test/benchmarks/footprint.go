package benchmarks

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// programs are what Footprint builds, below ./footprint.
var programs = []string{peerBare, programRequired, peerOurs, peerOfficial}

// Footprint builds each program in as many interleaved rounds, from a build cache that holds the standard library and
// nothing else. It has to run in the directory of this module. The memory is that of the largest process of the build.
func Footprint(rounds int, progress func(string)) (Results, error) {
	dir, err := os.MkdirTemp("", "footprint")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	progress("the standard library")
	standard := filepath.Join(dir, "standard")
	if err := warmStandard(standard); err != nil {
		return nil, err
	}
	all, err := Sizes()
	if err != nil {
		return nil, err
	}
	for i := range rounds {
		progress(fmt.Sprintf("programs, round %d of %d", i+1, rounds))
		for _, program := range programs {
			values, err := buildFrom(standard, dir, program)
			if err != nil {
				return nil, fmt.Errorf("building %s: %w", program, err)
			}
			all = append(all, Sample{"Footprint", "build", program, 1, values})
		}
	}
	return all, nil
}

// Sizes measures what is the same in every build, the sizes of the binaries, with the usual build cache.
func Sizes() (Results, error) {
	dir, err := os.MkdirTemp("", "footprint")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var all Results
	for _, program := range programs {
		values, err := sizes(dir, program)
		if err != nil {
			return nil, fmt.Errorf("building %s: %w", program, err)
		}
		all = append(all, Sample{"Footprint", "build", program, 1, values})
	}
	return all, nil
}

// warmStandard builds the packages of the standard library that the programs need into a new cache.
func warmStandard(cache string) error {
	list := exec.Command("go", "list", "-deps", "-f", "{{if .Standard}}{{.ImportPath}}{{end}}", "./footprint/...")
	out, err := list.Output()
	if err != nil {
		return err
	}
	args := []string{"build"}
	for _, name := range strings.Fields(string(out)) {
		if name != "unsafe" && !strings.HasPrefix(name, "vendor/") {
			args = append(args, name)
		}
	}
	return goCommand(cache, args...).Run()
}

func goCommand(cache string, args ...string) *exec.Cmd {
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false")
	if cache != "" {
		cmd.Env = append(cmd.Env, "GOCACHE="+cache)
	}
	cmd.Stderr = os.Stderr
	return cmd
}

func buildFrom(standard, dir, program string) (map[string]float64, error) {
	cache, binary := filepath.Join(dir, "cache"), filepath.Join(dir, program)
	defer os.RemoveAll(cache)
	defer os.Remove(binary) // go build does not link again what is there
	if err := linkTree(standard, cache); err != nil {
		return nil, err
	}
	build := goCommand(cache, "build", "-o", binary, "./footprint/"+program)
	start := time.Now()
	if err := build.Run(); err != nil {
		return nil, err
	}
	elapsed := time.Since(start)
	values := map[string]float64{
		unitBuild: elapsed.Seconds(),
		unitCPU:   (build.ProcessState.UserTime() + build.ProcessState.SystemTime()).Seconds(),
	}
	if usage, ok := build.ProcessState.SysUsage().(*syscall.Rusage); ok {
		values[unitMemory] = float64(usage.Maxrss) * 1024 // kibibytes on Linux
	}
	return values, nil
}

// sizes are those of the binary as go build makes it, and without symbols and debugging data.
func sizes(dir, program string) (map[string]float64, error) {
	values := make(map[string]float64)
	for unit, flags := range map[string]string{unitBinary: "", unitStripped: "-s -w"} {
		binary := filepath.Join(dir, program+unit)
		if err := goCommand("", "build", "-ldflags", flags, "-o", binary, "./footprint/"+program).Run(); err != nil {
			return nil, err
		}
		info, err := os.Stat(binary)
		if err != nil {
			return nil, err
		}
		values[unit] = float64(info.Size())
	}
	return values, nil
}

// linkTree makes a copy of a build cache in no time: go build adds files to a cache and changes none.
func linkTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, relative), 0o755)
		}
		return os.Link(path, filepath.Join(to, relative))
	})
}
