package bearer

// RenewNone does what a caller does that has seen no token.
func (t *Transport) RenewNone() error {
	_, err := t.tokens.renew(nil, "")
	return err
}
