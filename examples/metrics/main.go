// Command metrics shows the gauges that an operator of a fleet wants as OpenTelemetry metrics. It migrates three clusters
// on the in-memory Atlas until two wait for the approval of their cutover and one needs attention. [Register], in
// gauges.go, is the part for a program of your own.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"text/tabwriter"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "metrics: "+err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	server := livemigrationtest.NewServer(livemigrationtest.WithSpeed(20_000))
	defer server.Close()
	client, err := server.NewClient()
	if err != nil {
		return err
	}
	settled := make(chan string, 100)
	fleet, err := durable.NewFleet(durable.NewMemory(), durable.WithPollInterval(50*time.Millisecond, 50*time.Millisecond),
		durable.WithOnChange(func(_ context.Context, r durable.Record) {
			if r.State == durable.StateFailed || r.State == durable.StateReady && r.Problem != nil {
				settled <- r.Plan.Name
			}
		}))
	if err != nil {
		return err
	}
	server.ForCluster("billing").FailNextMigration()
	all := plans(server, "billing", "events", "orders")
	if err := fleet.Add(ctx, all...); err != nil {
		return err
	}
	// A program of your own has a periodic reader with the exporter of its collector, or the one of Prometheus.
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	if err := Register(provider.Meter("fleet"), fleet); err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- fleet.Run(running, client) }()
	for range all {
		select {
		case <-settled:
		case <-ctx.Done():
		}
	}
	err = show(ctx, out, reader)
	stop()
	<-ended // the error of its context
	return err
}

func plans(server *livemigrationtest.Server, names ...string) (plans []durable.Plan) {
	for _, name := range names {
		plan := durable.Plan{Name: name, ProjectID: server.ProjectID(), Request: server.SampleRequest(), Parallel: true}
		source := &plan.Request.Source
		source.ClusterName, source.Username, source.Password, source.ManagedAuthentication = name+"-old", "", "", true
		plan.Request.Destination.ClusterName = name
		plan.Request.MigrationHosts = []string{name + ".example.com"}
		plans = append(plans, plan)
	}
	return plans
}

// show collects the metrics once, and prints all that are not zero.
func show(ctx context.Context, out io.Writer, reader sdkmetric.Reader) error {
	var collected metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &collected); err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, scope := range collected.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Gauge[int64]:
				showPoints(table, m, data.DataPoints)
			case metricdata.Gauge[float64]:
				showPoints(table, m, data.DataPoints)
			}
		}
	}
	return table.Flush()
}

func showPoints[N int64 | float64](out io.Writer, m metricdata.Metrics, points []metricdata.DataPoint[N]) {
	for _, p := range points {
		for _, attribute := range p.Attributes.ToSlice() {
			if p.Value != 0 {
				_, _ = fmt.Fprintf(out, "%s\t%s=%s\t%.0f %s\n", m.Name, attribute.Key, attribute.Value.String(), float64(p.Value), m.Unit)
			}
		}
	}
}
