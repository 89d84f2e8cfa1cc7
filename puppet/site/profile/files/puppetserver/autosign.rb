#!/usr/bin/ruby
# frozen_string_literal: true

# Decides whether a certificate request is signed: exit code 0 is yes, anything else is no.
# Puppet Server gives the name as argument and the request on standard input.
#
# Yes needs all of this: the name is one of the fleet's enrolled hosts, the request is for that
# very name, whoever made it holds the key that it is about, and it brings the enrolment key.

require 'openssl'
require 'yaml'

# An attribute (csr_attributes.yaml: custom_attributes) stays in the request; an extension would
# be copied into the certificate for everybody to read.
CHALLENGE_PASSWORD = '1.2.840.113549.1.9.7'
SETTINGS = ENV.fetch('ENROLMENT_SETTINGS', '/etc/puppet/enrolment.yaml')

def refuse(reason)
  warn "autosign: #{ARGV[0]} is refused: #{reason}"
  exit 1
end

def challenge_password(request)
  attribute = request.attributes.find { |one| one.oid == 'challengePassword' || one.oid == CHALLENGE_PASSWORD }
  # A set of one string, ASN.1's way to say a string.
  attribute&.value&.value&.first&.value.to_s
end

begin
  settings = YAML.safe_load(File.read(SETTINGS))
  request = OpenSSL::X509::Request.new($stdin.read)
  subject = request.subject.to_a.map { |part, value, _| [part, value] }

  refuse('there is no enrolment key') if settings['key'].to_s.empty?
  refuse('not a host that may enrol') unless settings['certnames'].include?(ARGV[0])
  refuse('the request is for another name') unless subject == [['CN', ARGV[0]]]
  refuse('the request is not signed with its own key') unless request.verify(request.public_key)
  refuse('wrong enrolment key') unless OpenSSL.secure_compare(challenge_password(request), settings['key'])
rescue StandardError => e
  # Whatever cannot be read or understood is no proof.
  refuse("#{e.class}: #{e.message}")
end
