package retry

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/response"
)

func TestPolicyDefaults(t *testing.T) {
	t.Parallel()
	const second = time.Second
	for name, tc := range map[string]struct{ given, want Policy }{
		"all":                      {Policy{}, Policy{5, second, 30 * second}},
		"none":                     {Policy{1, 2, 3}, Policy{1, 2, 3}},
		"small maximum":            {Policy{MaxBackoff: 10}, Policy{5, 10, 10}},
		"large maximum":            {Policy{MaxBackoff: time.Hour}, Policy{5, second, time.Hour}},
		"large minimum":            {Policy{MinBackoff: time.Minute}, Policy{5, time.Minute, time.Minute}},
		"small minimum":            {Policy{MinBackoff: 10}, Policy{5, 10, 30 * second}},
		"attempts, default bounds": {Policy{MaxAttempts: 9}, Policy{9, second, 30 * second}},
	} {
		assert.Equal(t, tc.want, tc.given.WithDefaults(), name)
	}
}

func TestBackoffGrowsAndIsDrawnFromAll(t *testing.T) {
	t.Parallel()
	p := Policy{}.WithDefaults()
	for attempts, ceiling := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 6: 30 * time.Second, 7: 30 * time.Second, 1000: 30 * time.Second} {
		assert.Equal(t, ceiling, p.ceiling(attempts))
		var low, high bool
		for range 500 {
			d := p.Backoff(attempts, nil)
			require.GreaterOrEqual(t, d, time.Duration(0))
			require.LessOrEqual(t, d, ceiling)
			low, high = low || d < ceiling/4, high || d > ceiling*3/4
		}
		assert.True(t, low && high, "full jitter")
	}
	huge := Policy{5, math.MaxInt64 / 3, math.MaxInt64 - 1}
	assert.Equal(t, time.Duration(math.MaxInt64-1), huge.ceiling(9))
}

func TestRetryAfterIsAFloorAndFurther429sWaitLonger(t *testing.T) {
	t.Parallel()
	p := Policy{}.WithDefaults()
	asked := func(d time.Duration) *response.Error {
		return &response.Error{RetryAfter: d, RetryAfterGiven: true}
	}
	for range 200 {
		previous := 10 * time.Second
		for attempts := 1; attempts <= 5; attempts++ {
			d := p.Backoff(attempts, asked(10*time.Second))
			require.GreaterOrEqual(t, d, previous)
			require.LessOrEqual(t, d, 10*time.Second+p.ceiling(attempts))
			previous = d
		}
	}
	assert.Equal(t, time.Duration(math.MaxInt64), p.Backoff(1, asked(math.MaxInt64)))
	assert.False(t, p.TooLong(asked(300*time.Second)))
	assert.True(t, p.TooLong(asked(311*time.Second)))
	assert.False(t, p.TooLong(nil))
}

func TestPoliciesThatMakeSense(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		policy Policy
		valid  bool
	}{
		"default":              {Policy{}, true},
		"all":                  {Policy{1, time.Second, time.Second}, true},
		"only a minimum":       {Policy{MinBackoff: time.Hour}, true},
		"only a maximum":       {Policy{MaxBackoff: time.Nanosecond}, true},
		"minimum over maximum": {Policy{0, 2, 1}, false},
		"negative attempts":    {Policy{MaxAttempts: -1}, false},
		"negative minimum":     {Policy{MinBackoff: -1}, false},
		"negative maximum":     {Policy{MaxBackoff: -1}, false},
	} {
		assert.Equal(t, tc.valid, tc.policy.Valid(), name)
	}
}
