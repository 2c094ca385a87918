package benchmarks

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// programRequired calls each package that the library's interface requires.
const programRequired = "required"

// programs are below ./footprint.
var programs = []string{peerBare, programRequired, peerOurs, peerOfficial}

// Sizes are of binaries in MB, by program: as go build makes them, and without symbols and debugging data.
type Sizes map[string][2]float64

// MeasureSizes builds the programs. It has to run in the directory of this module.
func MeasureSizes() (Sizes, error) {
	dir, err := os.MkdirTemp("", "sizes")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	all := make(Sizes)
	for _, program := range programs {
		var sizes [2]float64
		for i, flags := range []string{"", "-s -w"} {
			binary := filepath.Join(dir, fmt.Sprint(program, i))
			build := exec.Command("go", "build", "-buildvcs=false", "-ldflags", flags, "-o", binary, "./footprint/"+program)
			if output, err := build.CombinedOutput(); err != nil {
				return nil, fmt.Errorf("building %s: %w\n%s", program, err, output)
			}
			info, err := os.Stat(binary)
			if err != nil {
				return nil, err
			}
			sizes[i] = float64(info.Size()) / 1e6
		}
		all[program] = sizes
	}
	list, err := exec.Command("go", "list", "-deps", "./footprint/"+peerOurs).Output()
	if err == nil && strings.Contains(string(list), "livemigration-go/durable") {
		err = fmt.Errorf("a program without package durable contains it")
	}
	return all, err
}

// growth is what the library adds to the packages that its interface requires.
func (s Sizes) growth() float64 { return s[peerOurs][0] - s[programRequired][0] }
