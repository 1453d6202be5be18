-- SPDX-License-Identifier: MIT
-- /etc/patroni/postern.sql on each of the three database machines: Patroni runs it once, when the cluster is created.
-- Change the password; it is the one in /etc/postern.password on the machines that run Postern.
create role postern login password 'change-me-postern';
create database postern owner postern encoding 'UTF8' template template0;
