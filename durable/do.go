package durable

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go"
)

func (a *attempt) validate() {
	request, ok := a.request()
	if !ok {
		return
	}
	ctx, cancel := a.within()
	defer cancel()
	created, err := a.client.Validations.Create(ctx, a.record.Plan.ProjectID, request, livemigration.WithMaxAttempts(1))
	if err != nil {
		a.failed(opValidate, err)
		return
	}
	a.result.Outcome, a.result.Validation = OutcomeDone, created
	a.result.Wait = spread(a.settings.minInterval)
}

func (a *attempt) checkValidation() {
	ctx, cancel := a.within()
	defer cancel()
	seen, err := a.client.Validations.Get(ctx, a.record.Plan.ProjectID, a.record.ValidationID, livemigration.WithMaxAttempts(1))
	if err != nil {
		a.fails(problemOf(opCheckValidation, err), err)
		return
	}
	a.result.Outcome, a.result.Validation = OutcomeDone, seen
	a.result.Wait = a.interval()
}

func (a *attempt) create() {
	request, ok := a.request()
	if !ok {
		return
	}
	if a.record.Gate(time.Now()) != "" {
		a.holds(approvalProblem("the start"))
		return
	}
	ctx, cancel := context.WithDeadline(a.ctx, a.result.Intent.At.Add(intentLife)) // the client bounds the request itself
	defer cancel()
	created, err := a.client.Migrations.Create(ctx, a.record.Plan.ProjectID, request,
		livemigration.WithMaxAttempts(1), livemigration.WithGrace(grace))
	switch {
	case err == nil:
		a.result.Outcome, a.result.CreatedID, a.result.Migration = OutcomeDone, created.ID, created
		a.result.Wait = spread(a.settings.minInterval)
	case livemigration.MayHaveCreated(err):
		a.result.Outcome = OutcomeUnknown
		var unknown *livemigration.OutcomeUnknownError
		if errors.As(err, &unknown) && unknown.MigrationID().Validate() == nil {
			a.result.CreatedID = unknown.MigrationID()
		}
		a.fails(problemOf(opCreate, err), err)
	default:
		a.failed(opCreate, err)
	}
}

// check reads the migration. If it is ready, check finds out whether the cutover may be sent.
func (a *attempt) check() {
	if !a.read() {
		return
	}
	a.result.Outcome = OutcomeDone
	a.result.Wait = a.interval()
	if a.record.State == StateReady && ready(a.result.Migration) {
		a.mayCutOver()
	}
}

// read reads the migration, for the result and for the functions of the user.
func (a *attempt) read() bool {
	ctx, cancel := a.within()
	defer cancel()
	seen, err := a.client.Migrations.Get(ctx, a.record.Plan.ProjectID, a.record.MigrationID, livemigration.WithMaxAttempts(1))
	if err != nil {
		a.fails(problemOf(opCheck, err), err)
		return false
	}
	a.result.Migration = seen
	a.record.Migration, a.record.SeenAt = cloneMigration(seen), a.result.Intent.At
	return true
}

func ready(m *livemigration.Migration) bool { return m.ReadyForCutover && !m.Status.Final() }

// mayCutOver checks everything that a cutover needs: an approval, an open window, a small lag.
func (a *attempt) mayCutOver() bool {
	person := a.record.approvedByPerson(GateCutover, time.Now())
	switch {
	case !person && a.settings.approval == nil:
		a.holds(approvalProblem("the cutover"))
	case !allow(a.settings.windows, time.Now()):
		a.holds(windowProblem(a.settings.windows))
	case !a.lagIsSmall():
		a.holds(Problem{Kind: ProblemWaitingForLag, Text: fmt.Sprintf("waits for a lag of at most %s", a.settings.maxLag)})
	case !person:
		return a.askApproval()
	default:
		return true
	}
	return false
}

func windowProblem(windows []Window) Problem {
	return Problem{Kind: ProblemWaitingForWindow, Text: "waits for the cutover window " + windowTexts(windows)}
}

func (a *attempt) lagIsSmall() bool {
	if !a.settings.hasMaxLag {
		return true
	}
	lag, known := a.record.Migration.Lag()
	return known && lag <= a.settings.maxLag
}

func (a *attempt) askApproval() bool {
	yes, err := ask(a.ctx, func(ctx context.Context) (bool, error) { return a.settings.approval(ctx, a.record.clone()) })
	switch {
	case err != nil:
		a.functionFailed("WithCutoverApproval", err)
	case !yes:
		a.holds(approvalProblem("the cutover: the function of WithCutoverApproval says no"))
	default:
		a.result.ApprovedUntil = stamp(time.Now()).Add(approvalLife)
	}
	return err == nil && yes
}

// cutover reads the migration first, because it may no longer be ready.
func (a *attempt) cutover() {
	if !a.read() || !ready(a.result.Migration) || !a.mayCutOver() {
		return
	}
	switch { // the function may have taken its time
	case a.ctx.Err() != nil || !a.intentHolds():
		return
	case !allow(a.settings.windows, time.Now()):
		a.holds(windowProblem(a.settings.windows))
		return
	}
	ctx, cancel := a.within()
	defer cancel()
	err := a.client.Migrations.Cutover(ctx, a.record.Plan.ProjectID, a.record.MigrationID, livemigration.WithMaxAttempts(1))
	switch {
	case err == nil:
		a.result.Outcome = OutcomeDone
		a.result.Wait = spread(a.settings.minInterval)
	case notCutOver(err):
		a.failed(opCutover, err)
	default:
		a.result.Outcome = OutcomeUnknown
		a.fails(problemOf(opCutover, err), err)
		a.result.Wait = spread(a.settings.minInterval)
	}
}

// request is the request of the plan, with the password.
func (a *attempt) request() (livemigration.MigrationRequest, bool) {
	request := a.record.Plan.Request
	if !a.record.Plan.needsPassword() {
		return request, true
	}
	err := errors.New("there is none")
	if function := a.settings.password; function != nil {
		request.Source.Password, err = ask(a.ctx, func(ctx context.Context) (livemigration.Secret, error) {
			return function(ctx, a.record.Plan.clone())
		})
		if err == nil && request.Source.Password == "" {
			err = errors.New("it returned an empty password")
		}
	}
	if err != nil {
		a.functionFailed("WithPassword", err)
	}
	return request, err == nil
}

// functionFailed is a function of the user that gave no answer.
func (a *attempt) functionFailed(option string, err error) {
	a.fails(Problem{Kind: ProblemNeedsAttention, Operation: option, Text: "the function of " + option + " failed: " + clean(err.Error())}, nil)
}

// failed is a request that certainly changed nothing.
func (a *attempt) failed(operation string, err error) {
	if rejected(err) {
		a.result.Outcome = OutcomeRejected
	}
	a.fails(problemOf(operation, err), err)
}

// problemOf puts a failure into data and words.
func problemOf(operation string, err error) Problem {
	p := Problem{Kind: ProblemRetrying, Operation: operation}
	var api *livemigration.APIError
	if errors.As(err, &api) {
		p.Status, p.Code, p.Kind = api.StatusCode, api.Code, kindOf(api.StatusCode)
		var details []string
		if api.Detail != "" {
			details = append(details, api.Detail)
		}
		for _, field := range api.Fields {
			details = append(details, field.String())
		}
		p.Text = joinText(operation+" failed with "+statusText(api.StatusCode, api.Code), clean(strings.Join(details, "; ")))
		return p
	}
	if errors.Is(err, livemigration.ErrInvalidRequest) || certificateError(err) {
		p.Kind = ProblemNeedsAttention
	}
	text := strings.TrimPrefix(err.Error(), "livemigration: ")
	p.Text = operation + " failed: " + clean(strings.TrimPrefix(text, operation+": "))
	return p
}
