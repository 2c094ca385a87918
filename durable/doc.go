// Package durable moves whole estates, and survives its own program: each migration is a record that is stored before
// anything irreversible is sent.
package durable
