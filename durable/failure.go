package durable

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"

	"github.com/livemigration/livemigration-go"
)

// rejected reports whether a retry would fail too: Atlas itself, or this library, rejects the request. All other failures pass.
func rejected(err error) bool {
	var api *livemigration.APIError
	if errors.As(err, &api) {
		return api.StatusCode == http.StatusBadRequest && api.Code != ""
	}
	return errors.Is(err, livemigration.ErrInvalidRequest)
}

// notCutOver reports whether a cutover certainly did not take effect: it was not sent, or Atlas itself rejected it.
func notCutOver(err error) bool {
	var (
		api   *livemigration.APIError
		paced *livemigration.PacingError
		call  *livemigration.CallError
	)
	switch {
	case errors.Is(err, livemigration.ErrOutcomeUnknown):
		return false
	case errors.Is(err, livemigration.ErrInvalidRequest):
		return true
	case errors.As(err, &paced):
		return paced.Attempts == 0
	case !errors.As(err, &api):
		return errors.As(err, &call) && call.Attempts == 0
	}
	switch status := api.StatusCode; status {
	case http.StatusTooManyRequests:
		return true
	case http.StatusServiceUnavailable:
		return api.Code != "" && api.RetryAfter > 0
	case http.StatusRequestTimeout, http.StatusMisdirectedRequest, http.StatusTooEarly, 460, 499:
		return false
	default:
		return api.Code != "" && 400 <= status && status < 500
	}
}

// certificateError reports whether the client did not accept the certificate of the server.
func certificateError(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		host         x509.HostnameError
		invalid      x509.CertificateInvalidError
	)
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid)
}
