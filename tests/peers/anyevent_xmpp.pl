# AnyEvent::XMPP 0.55: a client that answers; see foreign_clients.rs for what it does and says.
#
# Trust: it starts TLS with AnyEvent's defaults, which verify nothing, and has no argument for others; so this overrides the method that
# starts TLS. Authen::SASL gives it PLAIN. It asks for the roster and then sends presence with a priority of 10 by itself.

use strict;
use warnings;
use AnyEvent;
use AnyEvent::XMPP::IM::Connection;
use JSON::PP;

my ($host, $port, $ca, $jid, $password) = @ARGV;
my $json = JSON::PP->new->ascii;
my $over = AnyEvent->condvar;
$| = 1;

sub say_event { my ($event, %details) = @_; print $json->encode({ event => $event, %details }), "\n" }

package Verifying {
    our @ISA = 'AnyEvent::XMPP::IM::Connection';

    sub enable_ssl {
        my ($self) = @_;
        # 'xmpp' is the rule for names in certificates
        $self->{handle}{peername} = $self->{domain};
        $self->{handle}->starttls(connect => { verify => 1, verify_peername => 'xmpp', ca_file => $ca });
        $self->{ssl_enabled} = 1;
    }
}

my $connection = Verifying->new(jid => $jid, password => $password, host => $host, port => $port, disable_iq_auth => 1);
$connection->reg_cb(
    stream_ready => sub {
        my ($self) = @_;
        say_event(online => jid => $self->jid, tls => $self->{ssl_enabled} ? 'yes' : 'no');
    },
    session_ready => sub {
        my ($self) = @_;
        say_event(contact => jid => $_->jid, subscription => $_->subscription) for $self->get_roster->get_contacts;
    },
    presence_xml => sub {
        my ($self, $node) = @_;
        my ($show) = $node->find_all([qw/client show/]);
        say_event(presence => from => $node->attr('from'), type => $node->attr('type') // 'available', show => $show ? $show->text : '');
    },
    message => sub {
        my ($self, $message) = @_;
        my $body = $message->any_body;
        return unless defined $body;
        say_event(message => from => $message->from, body => $body);
        return $over->send('bye') if $body eq 'bye';
        my $reply = $message->make_reply;
        $reply->type('chat');
        $reply->add_body("echo $body");
        $reply->send;
    },
    error => sub { my ($self, $error) = @_; $over->send('error: ' . $error->string) },
    disconnect => sub { my ($self, $host, $port, $why) = @_; $over->send("disconnected: $why") },
);
$connection->connect;
my $why = $over->recv;
die "$why\n" unless $why eq 'bye';
my $gone = AnyEvent->condvar;
$connection->reg_cb(send_buffer_empty => sub { $gone->send });
$connection->{writer}->send_end_of_stream;
$gone->recv;
say_event('done');
