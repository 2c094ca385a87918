// Package metrics shows the gauges that an operator of a fleet wants as OpenTelemetry metrics, made from Fleet.Records. Its
// example is in the test.
package metrics

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/livemigration/livemigration-go/durable"
)

// cutoverPeriod is how long Atlas keeps a migration that is ready for cutover in sync.
const cutoverPeriod = 120 * time.Hour

var states = []durable.State{
	durable.StatePlanned, durable.StateValidating, durable.StateValidated, durable.StateReplicating, durable.StateReady,
	durable.StateFinishing, durable.StateComplete, durable.StateFailed, durable.StateExpired, durable.StateUnclear, durable.StateAbandoned,
}

var kinds = []durable.ProblemKind{
	durable.ProblemWaitingForApproval, durable.ProblemWaitingForWindow, durable.ProblemWaitingForLag,
	durable.ProblemWaitingForOther, durable.ProblemRetrying, durable.ProblemNeedsAttention,
}

// Register makes gauges of the records of a fleet, which are read each time that metrics are collected:
//
//   - livemigration.records: how many are in each state
//   - livemigration.problems: how many have a problem of each kind; alert on needsAttention
//   - livemigration.lag: how far the destination of a migration is behind its source, in seconds
//   - livemigration.expiry: hours until a migration that is ready for cutover expires; alert below 24
//
// The fleet may be the one that runs, or one in another process on the same store.
func Register(meter metric.Meter, fleet *durable.Fleet) error {
	records, err := meter.Int64ObservableGauge("livemigration.records", metric.WithUnit("{record}"))
	if err != nil {
		return err
	}
	problems, err := meter.Int64ObservableGauge("livemigration.problems", metric.WithUnit("{record}"))
	if err != nil {
		return err
	}
	lag, err := meter.Float64ObservableGauge("livemigration.lag", metric.WithUnit("s"))
	if err != nil {
		return err
	}
	expiry, err := meter.Float64ObservableGauge("livemigration.expiry", metric.WithUnit("h"))
	if err != nil {
		return err
	}
	_, err = meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		all, damaged := fleet.Records(ctx)
		byState, byKind := make(map[durable.State]int64), make(map[durable.ProblemKind]int64)
		for _, r := range all {
			byState[r.State]++
			if r.Problem != nil {
				byKind[r.Problem.Kind]++
			}
			name := metric.WithAttributes(attribute.String("record", r.Plan.Name))
			if r.Migration != nil && !r.State.Final() {
				if d, known := r.Migration.Lag(); known {
					o.ObserveFloat64(lag, d.Seconds(), name)
				}
			}
			if r.State == durable.StateReady {
				o.ObserveFloat64(expiry, time.Until(r.ReadyAt.Add(cutoverPeriod)).Hours(), name)
			}
		}
		for _, state := range states { // zeros too: a gauge that is missing looks like one that does not change
			o.ObserveInt64(records, byState[state], metric.WithAttributes(attribute.String("state", string(state))))
		}
		for _, kind := range kinds {
			o.ObserveInt64(problems, byKind[kind], metric.WithAttributes(attribute.String("kind", string(kind))))
		}
		if damaged != nil {
			return fmt.Errorf("some records are missing from the metrics: %w", damaged)
		}
		return nil
	}, records, problems, lag, expiry)
	return err
}
