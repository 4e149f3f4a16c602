# XMPP4R 0.5.6: a client that answers; see foreign_clients.rs for what it does and says.
#
# Trust: `ssl_capath`, a folder with each certificate under the name that OpenSSL looks for (its subject's hash), or nothing is verified; it
# never looks at the name in the certificate, so that is done here. Of SASL it knows PLAIN and DIGEST-MD5, and it sends its own bare JID as
# the authorization identity; its request for the roster has no id. A TLS failure is only logged: it then waits for features that do not come.

require 'json'
require 'tmpdir'
require 'openssl'
require 'xmpp4r'
require 'xmpp4r/roster'

# It goes on with TLS while the reader of the clear stream may still live, and take the server's first bytes away: wait for its end.
class Jabber::Stream
  def stop
    @parser_thread.kill
    @parser_thread.join
    @parser = nil
  end
end

# In Ruby 3 what comes over TLS is bytes for its parser, which dies of the first letter beyond ASCII.
class Jabber::Connection::SSLSocketUTF8
  def readline(...)
    super.force_encoding(Encoding::UTF_8)
  end
end

def say(event, **details)
  puts JSON.generate({ event: event }.merge(details))
  $stdout.flush
end

host, port, ca, jid, password = ARGV
over = Queue.new
Dir.mktmpdir do |folder|
  certificate = OpenSSL::X509::Certificate.new(File.read(ca))
  File.write(File.join(folder, format('%08x.0', certificate.subject.hash)), certificate.to_pem)
  client = Jabber::Client.new(jid)
  client.ssl_capath = folder
  client.on_exception { |error, _, where| over << "#{where}: #{error.inspect}" }
  client.connect(host, port.to_i)
  raise 'no TLS' unless client.is_tls?

  client.fd.post_connection_check(client.jid.domain)
  client.auth(password)
  say 'online', jid: client.jid.to_s, tls: client.fd.ssl_version
  client.add_presence_callback do |presence|
    say 'presence', from: presence.from.to_s, type: (presence.type || :available).to_s, show: presence.show.to_s
  end
  client.add_message_callback do |message|
    next unless message.body

    say 'message', from: message.from.to_s, body: message.body
    if message.body == 'bye'
      over << 'bye'
    else
      client.send(Jabber::Message.new(message.from, "echo #{message.body}").set_type(:chat))
    end
  end
  roster = Jabber::Roster::Helper.new(client)
  roster.wait_for_roster
  roster.items.each_value { |item| say 'contact', jid: item.jid.to_s, subscription: item.subscription.to_s }
  client.send(Jabber::Presence.new)
  why = over.pop
  raise why unless why == 'bye'

  client.close
end
say 'done'
