package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/livemigration/livemigration-go/durable"
)

func TestRun(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	for _, want := range []string{
		`livemigration.records +state=READY +2 \{record\}`, `livemigration.records +state=FAILED +1 \{record\}`,
		`livemigration.problems +kind=waitingForApproval +2 \{record\}`, `livemigration.problems +kind=needsAttention +1 \{record\}`,
		`livemigration.lag +record=events +\d+ s`, `livemigration.expiry +record=orders +120 h`,
	} {
		assert.Regexp(t, regexp.MustCompile(`(?m)^`+want+`$`), out.String())
	}
}

// Without records there are zeros, and no gauges of a record.
func TestZeros(t *testing.T) {
	t.Parallel()
	fleet, err := durable.NewFleet(durable.NewMemory())
	require.NoError(t, err)
	reader := sdkmetric.NewManualReader()
	require.NoError(t, Register(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("fleet"), fleet))
	var collected metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &collected))
	points := make(map[string]int)
	for _, m := range collected.ScopeMetrics[0].Metrics {
		for _, p := range m.Data.(metricdata.Gauge[int64]).DataPoints {
			points[m.Name]++
			assert.Zero(t, p.Value)
		}
	}
	assert.Equal(t, map[string]int{"livemigration.records": len(states), "livemigration.problems": len(kinds)}, points)
}
