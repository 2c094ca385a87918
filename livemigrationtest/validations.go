package livemigrationtest

import (
	"time"

	"github.com/livemigration/livemigration-go"
)

// validation is a validation job.
type validation struct {
	order
	id      string
	project string // of the path
	created time.Time
	failing bool   // in the end
	failure string // the message then
}

// wireValidation is a validation as Atlas writes it.
type wireValidation struct {
	ID           string `json:"_id"`
	GroupID      string `json:"groupId"`
	SourceID     string `json:"sourceGroupId"`
	Status       string `json:"status"`
	ErrorMessage string `json:"errorMessage,omitempty"`
}

func (s *Server) wireValidation(v *validation) wireValidation {
	status, message := livemigration.ValidationSuccess, ""
	switch {
	case s.clock.jobs().Sub(v.created) < s.state.timings.Validation:
		status = livemigration.ValidationPending
	case v.failing:
		status, message = livemigration.ValidationFailed, v.failure
	}
	return wireValidation{
		ID: v.id, GroupID: v.project, SourceID: string(v.source.ProjectID), Status: string(status), ErrorMessage: message,
	}
}

func (s *Server) createValidation(c *call) (any, *apiError) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	v := &validation{order: readOrder(c.body), id: s.state.ids.next(), project: c.scope, created: s.clock.jobs()}
	course, failing := takeCourse(&s.state.nextValidations, v.order)
	v.failing, v.failure = failing, course.message
	s.state.validations, s.state.validationByID[v.id] = append(s.state.validations, v), v
	return s.wireValidation(v), nil
}

func (s *Server) getValidation(c *call) (any, *apiError) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	if v := s.state.validationByID[c.job]; v != nil && v.project == c.scope {
		return s.wireValidation(v), nil
	}
	return nil, notFound("RESOURCE_NOT_FOUND", "validation", c.job)
}

// Validations returns the validation jobs as they are now, in the order of their creation.
func (s *Server) Validations() []livemigration.Validation {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	out := make([]livemigration.Validation, 0, len(s.state.validations))
	for _, v := range s.state.validations {
		w := s.wireValidation(v)
		out = append(out, livemigration.Validation{
			ID: livemigration.ValidationID(w.ID), ProjectID: livemigration.ProjectID(w.GroupID),
			SourceProjectID: livemigration.ProjectID(w.SourceID),
			Status:          livemigration.ValidationStatus(w.Status), ErrorMessage: w.ErrorMessage,
		})
	}
	return out
}
