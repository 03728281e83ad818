// A TLS 1.3 client or server for one connection: tls ROLE ADDRESS MODE FOLDER.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	role, address, mode, folder := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	pair := func(name string) []tls.Certificate {
		found, err := tls.LoadX509KeyPair(folder+"/"+name+".pem", folder+"/"+name+".key")
		must(err)
		return []tls.Certificate{found}
	}
	text, err := os.ReadFile(folder + "/ca.pem")
	must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	config := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, ClientCAs: roots, ServerName: "localhost"}
	if role == "client" {
		if mode == "mutual" {
			config.Certificates = pair("client")
		}
		connection, err := tls.Dial("tcp", address, config)
		must(err)
		_, err = connection.Write([]byte("hello\n"))
		must(err)
		io.Copy(io.Discard, connection)
		return
	}
	config.Certificates = pair("server")
	if mode != "one-way" {
		config.ClientAuth = tls.VerifyClientCertIfGiven
	}
	listener, err := tls.Listen("tcp", address, config)
	must(err)
	connection, err := listener.Accept()
	must(err)
	io.Copy(connection, connection)
}
