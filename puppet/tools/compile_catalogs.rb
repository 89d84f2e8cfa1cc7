#!/usr/bin/env ruby
# frozen_string_literal: true

# Compiles the catalogs of the whole fleet without a server, for a check or for a comparison.
#
#   compile_catalogs.rb --out DIRECTORY [--facts DIRECTORY] [--tree DIRECTORY] [--texts] [HOST...]
#
# It compiles the release that it is part of, or another one (--tree), so that both look alike.
# What differs between sites is read from where the control host has it (/var/lib/generalprove,
# /etc/puppet/eyaml). Facts are those in HOST.json if a directory of them is given, otherwise
# recorded ones, of each kind of machine. Catalogs go to DIRECTORY/KIND/HOST.json, one resource
# after the other by name, with every sensitive value replaced by its checksum and with a checksum
# of every file that a catalog only refers to: two catalogs are alike when their files are. With
# --texts those files are copied to DIRECTORY/texts by checksum, if they are text. A host that has
# no catalog has HOST.error.json instead, and hides no other.

require 'digest'
require 'fileutils'
require 'json'
require 'optparse'
require 'tmpdir'

require 'puppet'
require_relative 'fleet_facts'

# Errors are raised; a warning would go unseen in the log of a server.
WARNINGS = []
Puppet::Util::Log.newdesttype(:warnings) do
  match :warnings

  def handle(message)
    WARNINGS << message.message if message.level == :warning
  end
end

# One environment, with what it needs to compile.
class Environment
  NAME = 'production'
  LONGEST_TEXT = 256 * 1024

  attr_reader :texts

  def initialize(directory, texts: nil)
    @texts = texts
    scratch = Dir.mktmpdir
    at_exit { FileUtils.rm_rf(scratch) }
    @path = File.join(scratch, 'environments', NAME)
    FileUtils.mkdir(File.dirname(@path))
    FileUtils.ln_s(directory, @path)

    own = %w[confdir vardir codedir rundir logdir publicdir]
    Puppet.initialize_settings(own.flat_map { |name| ["--#{name}", scratch] })
    Puppet[:environmentpath] = File.dirname(@path)
    Puppet[:strict] = 'error'
    Puppet::Util::Log.newdestination(:warnings)
    Puppet.push_context(Puppet.base_context(Puppet.settings))
    @environment = Puppet.lookup(:environments).get!(NAME)
  end

  # @return [String] a path or a message, with files named as they are in the repository
  def relative(text)
    text.gsub("#{@path}/", '')
  end

  # @return [Puppet::Resource::Catalog] the catalog of one host
  def compile(certname, facts, trusted)
    node = Puppet::Node.new(
      certname, environment: @environment, facts: Puppet::Node::Facts.new(certname, facts),
    )
    node.merge(facts)
    node.trusted_data = trusted
    node.add_server_facts({})
    Puppet.override(current_environment: @environment, rich_data: true) do
      Puppet::Parser::Compiler.compile(node).filter(&:virtual?)
    end
  end

  # @return [String, nil] the file behind `puppet:///modules/MODULE/PATH`
  def file(source)
    _, name, path = source.match(%r{\Apuppet:///modules/([^/]+)/(.+)\z}).to_a
    name && @environment.module(name)&.file(path)
  end

  # @param path [String] a file, kept for whoever compares two releases
  # @return [String] its checksum
  def keep(path)
    checksum = Digest::SHA256.file(path).to_s
    return checksum unless @texts && File.size(path) <= LONGEST_TEXT

    text = File.read(path, encoding: 'UTF-8')
    return checksum if !text.valid_encoding? || text.include?("\0")

    FileUtils.mkdir_p(@texts)
    FileUtils.cp(path, File.join(@texts, checksum))
    checksum
  end
end

# A catalog as data that can be compared, and shown to anybody.
class Record
  def initialize(catalog, environment)
    @catalog = catalog
    @environment = environment
  end

  def to_h
    resources = @catalog.resources.map { |resource| entry(resource) }
    edges = @catalog.edges.map { |edge| [edge.source.ref, edge.target.ref] }
    {
      'certname' => @catalog.name,
      'version' => @catalog.version,
      'resources' => resources.sort_by { |resource| resource['ref'] },
      'edges' => edges.sort,
    }
  end

  private

  def entry(resource)
    parameters = resource.to_hash.to_h do |name, value|
      sensitive = resource.sensitive_parameters.include?(name)
      [name.to_s, sensitive ? checksum(value) : plain(value)]
    end
    found = Array(parameters['source']).grep(String).to_h { |source| [source, files_of(source)] }
    sources = found.compact.map { |source, files| content_of(source, files) }
    parameters['source_checksum'] = sources unless sources.empty?
    {
      'ref' => resource.ref,
      'container' => resource.builtin_type? ? nil : true,
      'exported' => resource.exported ? true : nil,
      'file' => resource.file && @environment.relative(resource.file),
      'line' => resource.line,
      # The agent takes the first that there is.
      'files' => @environment.texts && found.values.compact.first,
      'parameters' => parameters.sort.to_h,
    }.compact
  end

  def plain(value)
    case value
    when Puppet::Pops::Types::PSensitiveType::Sensitive then checksum(value.unwrap)
    when Puppet::Resource then value.ref
    when Hash then value.to_h { |key, inner| [plain(key).to_s, plain(inner)] }
    when Array then value.map { |inner| plain(inner) }
    when nil, true, false, Numeric then value
    else value.to_s
    end
  end

  def checksum(value)
    value = value.unwrap if value.is_a?(Puppet::Pops::Types::PSensitiveType::Sensitive)
    "sensitive:#{Digest::SHA256.hexdigest(JSON.generate(plain(value)))}"
  end

  # The bytes of a file that is fetched at application time are not in the catalog.
  def files_of(source)
    path = @environment.file(source)
    return unless path

    files = Dir[path, "#{path}/**/*"].select { |each| File.file?(each) }
    files.sort.to_h { |each| [each.delete_prefix(path), @environment.keep(each)] }
  end

  def content_of(source, files)
    digest = Digest::SHA256.new
    files.each { |name, checksum| digest << "#{checksum} #{name}\n" }
    "#{source} #{digest}"
  end
end

options = {}
OptionParser.new do |parser|
  parser.on('--out DIRECTORY') { |value| options[:out] = value }
  parser.on('--facts DIRECTORY') { |value| options[:facts] = value }
  parser.on('--tree DIRECTORY') { |value| options[:tree] = value }
  parser.on('--texts') { options[:texts] = true }
end.parse!
abort('compile_catalogs.rb: --out DIRECTORY is missing') unless options[:out]

environment = Environment.new(
  File.expand_path(options[:tree] || '..', options[:tree] ? Dir.pwd : __dir__),
  texts: options[:texts] && File.join(options[:out], 'texts'),
)
hosts = FleetFacts.hosts
hosts = hosts.slice(*ARGV) unless ARGV.empty?
kinds = options[:facts] ? %w[real] : FleetFacts::KINDS

failed = kinds.product(hosts.to_a).reject do |kind, (name, host)|
  start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  directory = FileUtils.mkdir_p(File.join(options[:out], kind)).first
  facts = if options[:facts]
            JSON.parse(File.read(File.join(options[:facts], "#{name}.json")))
          else
            FleetFacts.facts(name, host, kind: kind)
          end
  catalog = environment.compile(host['certname'], facts, FleetFacts.trusted(name, host))
  record = Record.new(catalog, environment).to_h
  File.write(File.join(directory, "#{name}.json"), "#{JSON.pretty_generate(record)}\n")
  seconds = Process.clock_gettime(Process::CLOCK_MONOTONIC) - start
  puts format('%-10s %-10s %4d resources %5.2f s', name, kind, record['resources'].length, seconds)
  true
rescue Puppet::Error, SystemCallError, JSON::ParserError => e
  message = environment.relative(e.message)
  warn "#{name} (#{kind}): #{message}"
  File.write(File.join(directory, "#{name}.error.json"), JSON.generate('message' => message))
  false
end
WARNINGS.uniq.each { |message| warn environment.relative(message) }
exit(failed.empty? && WARNINGS.empty? ? 0 : 1)
