package benchmarks

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// series is a row of bars with one name.
type series struct {
	name   string
	values plotter.Values
}

// PlotRatios draws how many times the floor each peer takes, by kind of call.
func PlotRatios(w io.Writer, r Results) error {
	kinds := []struct{ name, benchmark, place string }{
		{"read, loopback", "Read", serverMinimal}, {"read, 20 ms", "Latency", serverMinimal},
		{"create, loopback", "Create", serverMinimal}, {"64 callers", "Parallel", serverMinimal},
	}
	var bars []series
	for _, peer := range []string{peerBare, peerOurs, peerIcholy, peerOfficial} {
		s := series{name: peer}
		for _, k := range kinds {
			s.values = append(s.values, r.ratio(k.benchmark, k.place, peer, peerBare, unitTime))
		}
		bars = append(bars, s)
	}
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return drawBars(w, "Time per call, in multiples of bare net/http", "times bare", names, bars)
}

// PlotFleets draws the share of requests that are rejected, from the table of docs/scale.md: of the fleets that were
// measured with pacing and without.
func PlotFleets(w io.Writer, table string) error {
	var names []string
	with, without := series{name: "with pacing"}, series{name: "without pacing"}
	shares, rows := make(map[string][2]float64), make(map[string]int)
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 8 {
			continue
		}
		_, share, found := strings.Cut(cells[6], "(")
		percent, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(share), " %)"), 64)
		if !found || err != nil {
			continue
		}
		limit, _, _ := strings.Cut(strings.TrimSpace(cells[3]), ",")
		name := fmt.Sprintf("%s in %s,\n%s/min", strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2]), limit)
		both, known := shares[name]
		if !known {
			names = append(names, name)
		}
		if strings.Contains(cells[4], "no") {
			both[1] = percent
		} else {
			both[0] = percent
		}
		shares[name] = both
		rows[name]++
	}
	names = slices.DeleteFunc(names, func(name string) bool { return rows[name] < 2 })
	for _, name := range names {
		with.values = append(with.values, shares[name][0])
		without.values = append(without.values, shares[name][1])
	}
	if len(names) == 0 {
		return fmt.Errorf("there is no fleet in the table")
	}
	return drawBars(w, "Requests rejected with 429, by watches, projects and limit", "% of all requests", names, []series{with, without})
}

// PlotPolls draws the requests of each minute of a fleet, with pacing and without, from the output of TestFleet: of the
// fleet with the most watches for what its limit allows.
func PlotPolls(w io.Writer, output string) error {
	lines := make(map[[2]int]map[bool]plotter.XYs) // by watches and limit, then by pacing
	var most [2]int
	for line := range strings.Lines(output) {
		_, text, found := strings.Cut(line, minutesMark)
		fields := strings.Fields(text)
		if !found || len(fields) < 4 {
			continue
		}
		watches, _ := strconv.Atoi(fields[0])
		limit, _ := strconv.Atoi(fields[1])
		fleet := [2]int{watches, limit}
		if lines[fleet] == nil {
			lines[fleet] = make(map[bool]plotter.XYs)
		}
		for minute, field := range fields[3:] {
			n, err := strconv.ParseFloat(field, 64)
			if err != nil {
				return err
			}
			lines[fleet][fields[2] == "true"] = append(lines[fleet][fields[2] == "true"], plotter.XY{X: float64(minute), Y: n})
		}
		if len(lines[fleet]) == 2 && watches*most[1] >= most[0]*limit {
			most = fleet
		}
	}
	chosen := lines[most]
	if len(chosen) < 2 {
		return fmt.Errorf("the output has no fleet with pacing and without")
	}
	last := max(chosen[true][len(chosen[true])-1].X, chosen[false][len(chosen[false])-1].X)
	allowed := plotter.XYs{{X: 0, Y: float64(most[1])}, {X: last, Y: float64(most[1])}}
	p := plot.New()
	p.Title.Text = fmt.Sprintf("Requests a minute: %d watches, %d requests a minute allowed", most[0], most[1])
	p.X.Label.Text, p.Y.Label.Text, p.Y.Min = "minutes since the creation", "requests a minute", 0
	p.Legend.Top = true
	p.Add(plotter.NewGrid())
	if err := plotutil.AddLines(p, "with pacing", chosen[true], "without pacing", chosen[false], "allowed", allowed); err != nil {
		return err
	}
	return draw(w, p)
}

func drawBars(w io.Writer, title, unit string, names []string, bars []series) error {
	p := plot.New()
	p.Title.Text, p.Y.Label.Text, p.Y.Min = title, unit, 0
	p.Legend.Top = true
	p.NominalX(names...)
	p.Add(plotter.NewGrid())
	width := vg.Points(14)
	for i, s := range bars {
		chart, err := plotter.NewBarChart(s.values, width)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		chart.Color, chart.LineStyle.Width = plotutil.Color(i), 0
		chart.Offset = width * vg.Length(float64(i)-float64(len(bars)-1)/2)
		p.Add(chart)
		p.Legend.Add(s.name, chart)
		for _, v := range s.values {
			p.Y.Max = max(p.Y.Max, 1.4*v) // room for the legend
		}
	}
	p.X.Min, p.X.Max = -0.6, float64(len(names))-0.4
	return draw(w, p)
}

var growthLine = regexp.MustCompile(`BenchmarkFleet/(\d+)\S*.*?([\d.]+) heap-MB\s+([\d.]+) s-to-first-look`)

// PlotGrowth draws the heap and the time to the first look of a fleet of records, from the output of its benchmark.
func PlotGrowth(w io.Writer, output string) error {
	var heap, start plotter.XYs
	for _, m := range growthLine.FindAllStringSubmatch(output, -1) {
		n, _ := strconv.ParseFloat(m[1], 64)
		mb, _ := strconv.ParseFloat(m[2], 64)
		seconds, _ := strconv.ParseFloat(m[3], 64)
		heap = append(heap, plotter.XY{X: n, Y: mb})
		start = append(start, plotter.XY{X: n, Y: 1000 * seconds})
	}
	if len(heap) < 2 {
		return fmt.Errorf("the output of the benchmark has %d fleets", len(heap))
	}
	p := plot.New()
	p.Title.Text = "A fleet of records: heap, and time from start to the first look"
	p.X.Label.Text, p.Y.Label.Text = "records", "MB, and milliseconds"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	if err := plotutil.AddLinePoints(p, "heap, MB", heap, "to the first look, ms", start); err != nil {
		return err
	}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 80, 20_000, 0.1, 10_000
	return draw(w, p)
}

func draw(w io.Writer, p *plot.Plot) error {
	const width, height = 7 * vg.Inch, 3.5 * vg.Inch
	if !p.Legend.Left { // the text right of the sign does not run into it where a viewer has a wider font
		p.Legend.Left, p.Legend.XOffs = true, vg.Points(330)
	}
	image, err := p.WriterTo(width, height, "svg")
	if err != nil {
		return err
	}
	_, err = image.WriteTo(w)
	return err
}
