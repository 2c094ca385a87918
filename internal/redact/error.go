package redact

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"syscall"
)

// Error returns err where its text is clean, else an error with the clean text. That error matches with [errors.Is] what
// err matches. With [errors.As] it is a [net.Error], and leads to the causes that show no more than numbers, hosts and
// certificates: [syscall.Errno], [*net.DNSError], [tls.AlertError], [*tls.CertificateVerificationError],
// [x509.CertificateInvalidError], [x509.HostnameError] and [x509.UnknownAuthorityError]. It leads to no other cause, which
// may show the secret: read such a cause before you call Error.
func (r *Redactor) Error(err error) error {
	text := err.Error()
	if clean := r.Clean(text); clean != text {
		return &cleanError{clean, &err}
	}
	return err
}

type cleanError struct {
	text  string
	cause *error // package fmt prints the address of a pointer that is in a struct
}

func (e *cleanError) Error() string        { return e.text }
func (e *cleanError) Is(target error) bool { return errors.Is(*e.cause, target) }

// As finds the causes that the comment of [Redactor.Error] lists.
func (e *cleanError) As(target any) bool {
	switch target.(type) {
	case *syscall.Errno, **net.DNSError, *tls.AlertError, **tls.CertificateVerificationError,
		*x509.CertificateInvalidError, *x509.HostnameError, *x509.UnknownAuthorityError:
		return errors.As(*e.cause, target)
	default:
		return false
	}
}

// Timeout reports whether the cause is a timeout.
func (e *cleanError) Timeout() bool {
	var network interface{ Timeout() bool }
	return errors.As(*e.cause, &network) && network.Timeout()
}

// Temporary is deprecated, but a part of [net.Error].
func (e *cleanError) Temporary() bool { return false }
