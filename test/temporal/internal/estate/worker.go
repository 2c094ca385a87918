// Package estate has what the tests, the demonstration and the measurement share: plans, states, and workers as processes.
package estate

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtemporal"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// Environment variables of a worker process, besides those of Atlas.
const (
	addressVariable   = "ESTATE_TEMPORAL"
	namespaceVariable = "ESTATE_NAMESPACE"
	pollVariable      = "ESTATE_POLL"  // the longest poll interval; 0: durable's default
	crashVariable     = "ESTATE_CRASH" // a Crash
)

// Password is the password of the source users. It must be in no history.
const Password = "pa55-of-the-source"

// Crash says where a worker process kills itself.
type Crash struct {
	Activity string // "change", "poll", "request lock"
	Action   durable.Action
	After    bool // after the activity, before its result is reported; else before it
}

func (c Crash) String() string { return fmt.Sprintf("%s|%s|%t", c.Activity, c.Action, c.After) }

// WorkerOptions are the options of a worker process.
type WorkerOptions struct {
	Address, Namespace string
	Atlas              *livemigrationtest.Server
	Poll               time.Duration
	Crash              *Crash
}

// StartWorker starts a worker process: this program with the environment of a worker.
func StartWorker(o WorkerOptions) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	public, private := o.Atlas.APIKey()
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(),
		"MONGODB_ATLAS_BASE_URL="+o.Atlas.URL(),
		"MONGODB_ATLAS_PUBLIC_API_KEY="+public, "MONGODB_ATLAS_PRIVATE_API_KEY="+private.Reveal(),
		addressVariable+"="+o.Address, namespaceVariable+"="+o.Namespace, pollVariable+"="+o.Poll.String())
	if o.Crash != nil {
		cmd.Env = append(cmd.Env, crashVariable+"="+o.Crash.String())
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	return cmd, nil
}

// IsWorker reports whether this process is to be a worker. Then the program calls RunWorker and nothing else.
func IsWorker() bool { return os.Getenv(addressVariable) != "" }

// RunWorker works until a signal.
func RunWorker() error {
	atlas, err := livemigration.NewClientFromEnv()
	if err != nil {
		return err
	}
	poll, err := time.ParseDuration(os.Getenv(pollVariable))
	if err != nil {
		return fmt.Errorf("%s: %w", pollVariable, err)
	}
	c, err := client.Dial(client.Options{
		HostPort: os.Getenv(addressVariable), Namespace: os.Getenv(namespaceVariable),
		Logger: Silence{}, Identity: fmt.Sprintf("worker %d", os.Getpid()),
	})
	if err != nil {
		return err
	}
	defer c.Close()
	options := worker.Options{
		WorkerStopTimeout: 10 * time.Second, DeadlockDetectionTimeout: time.Minute, // a busy machine is no deadlock
	}
	if where := os.Getenv(crashVariable); where != "" {
		options.Interceptors = append(options.Interceptors, &crasher{where: where})
	}
	w := worker.New(c, livemigrationtemporal.TaskQueue, options)
	driver, err := NewDriver(atlas, poll)
	if err != nil {
		return err
	}
	livemigrationtemporal.Register(w, driver)
	return w.Run(worker.InterruptCh())
}

// NewDriver is the driver of a worker. Its poll intervals are durable's when poll is 0.
func NewDriver(atlas *livemigration.Client, poll time.Duration) (*durable.Driver, error) {
	opts := []durable.Option{durable.WithPassword(ReadPassword)}
	if poll > 0 {
		opts = append(opts, durable.WithPollInterval(min(poll, 100*time.Millisecond), poll))
	}
	return durable.NewDriver(atlas, opts...)
}

// ReadPassword is for durable.WithPassword.
func ReadPassword(context.Context, durable.Plan) (livemigration.Secret, error) { return Password, nil }

// crasher kills its process at an activity.
type crasher struct {
	interceptor.WorkerInterceptorBase
	where string
}

func (c *crasher) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &crashingActivity{ActivityInboundInterceptorBase: interceptor.ActivityInboundInterceptorBase{Next: next}, where: c.where}
}

type crashingActivity struct {
	interceptor.ActivityInboundInterceptorBase
	where string
}

func (c *crashingActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	here := Crash{Activity: activity.GetInfo(ctx).ActivityType.Name, Action: actionOf(in.Args)}
	c.die(here)
	result, err := c.Next.ExecuteActivity(ctx, in)
	here.After = true
	c.die(here)
	return result, err
}

func (c *crashingActivity) die(here Crash) {
	if here.String() == c.where {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
}

// actionOf is the action of the record that an activity gets; none for the activities of locks.
func actionOf(args []any) durable.Action {
	var in struct {
		Begun  struct{ Action durable.Action } // of a change
		Action durable.Action                  // of a poll
	}
	text, err := json.Marshal(args[0])
	if err != nil || json.Unmarshal(text, &in) != nil {
		return durable.ActionNone
	}
	return cmp.Or(in.Begun.Action, in.Action)
}

// Silence is a logger for Temporal's SDK.
type Silence struct{}

// Debug writes nothing.
func (Silence) Debug(string, ...any) {}

// Info writes nothing.
func (Silence) Info(string, ...any) {}

// Warn writes nothing.
func (Silence) Warn(string, ...any) {}

// Error writes nothing.
func (Silence) Error(string, ...any) {}
