package metrics_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/examples/metrics"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// Two migrations wait for the approval of their cutover, and one has failed. A program of your own has a periodic reader
// with the exporter of its collector, in place of the manual one.
func ExampleRegister() {
	server := livemigrationtest.NewServer(livemigrationtest.WithSpeed(20_000))
	defer server.Close()
	server.ForCluster("billing").FailNextMigration()
	settled := make(chan string, 10)
	fleet, err := durable.NewFleet(durable.NewMemory(), durable.WithPollInterval(50*time.Millisecond, 50*time.Millisecond),
		durable.WithOnChange(func(_ context.Context, r durable.Record) {
			if r.State == durable.StateFailed || r.State == durable.StateReady && r.Problem != nil {
				settled <- r.Plan.Name
			}
		}))
	check(err)
	for _, name := range []string{"billing", "events", "orders"} {
		check(fleet.Add(context.Background(), durable.Plan{Name: name, ProjectID: server.ProjectID(), Parallel: true,
			Request: livemigration.MigrationRequest{
				Source:         livemigration.Source{ProjectID: "5c7e8f901a2b3c4d5e6f7a01", ClusterName: name, ManagedAuthentication: true},
				Destination:    livemigration.Destination{ClusterName: name},
				MigrationHosts: []string{name + ".example.com"},
			}}))
	}
	reader := sdkmetric.NewManualReader()
	check(metrics.Register(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("fleet"), fleet))

	client, err := server.NewClient()
	check(err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- fleet.Run(ctx, client) }()
	for range 3 {
		<-settled
	}
	var collected metricdata.ResourceMetrics
	check(reader.Collect(context.Background(), &collected))
	stop()
	<-ended
	show(collected)
	// Output:
	// livemigration.records   state=FAILED             1
	// livemigration.records   state=READY              2
	// livemigration.problems  kind=needsAttention      1
	// livemigration.problems  kind=waitingForApproval  2
	// livemigration.lag       record=events            1
	// livemigration.lag       record=orders            1
	// livemigration.expiry    record=events            120
	// livemigration.expiry    record=orders            120
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// show prints all points that are not zero.
func show(collected metricdata.ResourceMetrics) {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, m := range collected.ScopeMetrics[0].Metrics {
		switch data := m.Data.(type) {
		case metricdata.Gauge[int64]:
			showPoints(table, m.Name, data.DataPoints)
		case metricdata.Gauge[float64]:
			showPoints(table, m.Name, data.DataPoints)
		}
	}
	check(table.Flush())
}

func showPoints[N int64 | float64](table *tabwriter.Writer, name string, points []metricdata.DataPoint[N]) {
	var lines []string
	for _, p := range points {
		for _, a := range p.Attributes.ToSlice() {
			if p.Value != 0 {
				lines = append(lines, fmt.Sprintf("%s\t%s=%s\t%.0f\n", name, a.Key, a.Value.String(), float64(p.Value)))
			}
		}
	}
	slices.Sort(lines)
	for _, line := range lines {
		_, _ = table.Write([]byte(line))
	}
}
